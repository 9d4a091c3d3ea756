package command

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/boltstore"
)

// TestStateCommand: without a gateway the commands look at files, and end with
// the status that is documented.
func TestStateCommand(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", dir)
	file, copied := filepath.Join(dir, "state.db"), filepath.Join(dir, "copy.db")
	s, err := boltstore.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Apply(t.Context(), "a\x1b[31m", []store.Change{{Key: store.Key{Kind: "robot", ID: "ci"}, Data: []byte("{}")}})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	damaged := filepath.Join(dir, "damaged.db")
	if err := os.WriteFile(damaged, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   string
		status int
		want   string
	}{
		{"verify " + file, 0, "good"},
		{"verify --file " + file, 0, "good"},
		{"verify " + damaged, 1, "damaged"},
		{"verify " + damaged + "-none", 2, "no such file"},
		{"backup --file " + file + " " + copied, 0, "found good"},
		{"backup --file " + file + " " + copied, 2, "exists"},
		{"backup --file " + damaged + " " + copied + "2", 1, "damaged"},
		{"restore --file " + damaged + " " + copied, 0, "restored"},
		{"restore --file " + file + " " + dir, 1, "damaged"},
		{"verify " + damaged, 0, "good"},
		{"verify --address 127.0.0.1:1", 3, "cannot be reached"},
		{"backup", 2, "arg"},
		{"verfy", 2, "verify"},
	} {
		cmd := stateCommand()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(strings.Fields(c.args))
		err := cmd.Execute()
		status := 0
		if e, ok := err.(interface{ ExitCode() int }); ok {
			status = e.ExitCode()
		} else if err != nil {
			status = 2
		}
		if text := out.String(); status != c.status || !strings.Contains(text, c.want) || strings.Contains(text, "\x1b") {
			t.Errorf("%s: status %d, want %d and %q:\n%s", c.args, status, c.status, c.want, text)
		}
	}
	cmd := stateCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"verify", "--json", file})
	var report store.Report
	if err := cmd.Execute(); err != nil || json.Unmarshal(out.Bytes(), &report) != nil || len(report.Realms) != 1 || report.Realms[0].Records != 1 {
		t.Errorf("%v %s", err, out.String())
	}
}
