//go:build unix

package pgstore

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/storetest"
)

var writeSample = flag.Bool("write-sample", false, "write testdata/formatN.sql of this program's format, which is kept")

// TestUpgrade opens a dump of each format that was ever released.
func TestUpgrade(t *testing.T) {
	pg := server(t)
	if *writeSample {
		dsn := pg.NewDatabase(t)
		storetest.WriteSample(t, open(t, Config{DSN: dsn}))
		if err := os.WriteFile(fmt.Sprintf("testdata/format%d.sql", Format), []byte(withoutCommands(pg.Dump(t, dsn))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for format := 1; format <= Format; format++ {
		dump, err := os.ReadFile(fmt.Sprintf("testdata/format%d.sql", format))
		if err != nil {
			t.Fatal(err)
		}
		dsn := pg.NewDatabase(t)
		pg.Exec(t, dsn, string(dump))
		storetest.WantSample(t, open(t, Config{DSN: dsn}))
	}
}

// withoutCommands leaves out what is for psql and not for the server.
func withoutCommands(dump string) string {
	var statements strings.Builder
	for line := range strings.Lines(dump) {
		if !strings.HasPrefix(line, `\`) {
			statements.WriteString(line)
		}
	}
	return statements.String()
}

func TestNewerFormat(t *testing.T) {
	c := newSchema(t)
	s := open(t, c)
	mustPut(t, s, "a")
	if _, err := s.exec(t.Context(), "UPDATE registry_auth_format SET format = 3"); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), c)
	if !errors.Is(err, store.ErrFormat) || !strings.Contains(err.Error(), "format 3") {
		t.Errorf("open: %v", err)
	}
	// A gateway of the old version does not write into what a new one has
	// upgraded.
	if _, err := put(t, s, "b"); !errors.Is(err, store.ErrFormat) {
		t.Errorf("apply: %v", err)
	}
	if d, _, err := s.Load(t.Context(), "default"); err != nil || len(d) != 1 {
		t.Errorf("%v %v", d, err)
	}
}

// TestEncoding refuses a database that cannot keep every name.
func TestEncoding(t *testing.T) {
	pg := server(t)
	pg.Exec(t, pg.DSN(), "CREATE DATABASE latin ENCODING LATIN1 LOCALE 'C' TEMPLATE template0")
	_, err := Open(t.Context(), Config{DSN: strings.Replace(pg.DSN(), "/postgres?", "/latin?", 1)})
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "LATIN1") {
		t.Errorf("open: %v", err)
	}
}

// TestRights opens tables as somebody who may use them and make none.
func TestRights(t *testing.T) {
	pg := server(t)
	dsn := pg.NewDatabase(t)
	mustPut(t, open(t, Config{DSN: dsn, Schema: "state"}), "a")
	pg.Exec(t, dsn, `CREATE ROLE gateway LOGIN;
		GRANT USAGE ON SCHEMA state TO gateway;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA state TO gateway;`)
	s := open(t, Config{DSN: strings.Replace(dsn, "postgres@", "gateway@", 1), Schema: "state"})
	mustPut(t, s, "b")
	if _, err := s.Apply(t.Context(), "another", nil, store.Entry{ID: "1"}); err != nil {
		t.Error(err)
	}
	if err := s.Trim(t.Context(), "another", "2"); err != nil {
		t.Error(err)
	}
}
