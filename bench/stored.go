package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/boltstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/pgstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/pgstore/pgtest"
)

// storedCounts are how many robots are in the store.
var storedCounts = []int{0, 10_000, 100_000}

// benchStored measures how long a gateway with many stored robots takes until
// it serves, and how much memory it has above Caddy without the directive.
func benchStored(o options) error {
	bare, err := startStored(o, "", "")
	if err != nil {
		return err
	}
	fmt.Printf("%-30s start %8s  memory %6.1f MB\n", "bare Caddy", bare.took.Round(time.Millisecond), megabytes(bare.rss))
	database, err := pgtest.New()
	if err != nil {
		return err
	}
	defer database.Close()
	for _, count := range storedCounts {
		path := filepath.Join(o.dir, fmt.Sprintf("state-%d.db", count))
		schema := fmt.Sprintf("robots_%d", count)
		kinds := []struct {
			name, line string
			open       func() (store.Store, error)
		}{
			{"bolt", "store bolt " + path, func() (store.Store, error) { return boltstore.Open(context.Background(), path) }},
			{"postgres", fmt.Sprintf("store postgres %q {\n\t\t\tschema %s\n\t\t}", database.DSN(), schema), func() (store.Store, error) {
				return pgstore.Open(context.Background(), pgstore.Config{DSN: database.DSN(), Schema: schema})
			}},
		}
		for _, kind := range kinds {
			s, err := kind.open()
			if err != nil {
				return err
			}
			if err := fillRobots(s, count); err != nil {
				return err
			}
			if err := s.Close(); err != nil {
				return err
			}
			var best stored
			for i := range 3 {
				r, err := startStored(o, kind.line, "registry_auth")
				if err != nil {
					return err
				}
				if i == 0 || r.took < best.took {
					best.took, best.cpu = r.took, r.cpu
				}
				best.rss = max(best.rss, r.rss)
			}
			fmt.Printf("%-30s start %8s (cpu %s)  memory %6.1f MB, %.1f MB above bare\n", fmt.Sprintf("%s, %d robots", kind.name, count),
				best.took.Round(time.Millisecond), best.cpu.Round(time.Millisecond), megabytes(best.rss), megabytes(best.rss-bare.rss))
		}
	}
	return nil
}

// fillRobots stores robots of the default realm.
func fillRobots(s store.Store, count int) error {
	ctx := context.Background()
	realm, err := state.Open(ctx, s, "default", state.Options{})
	if err != nil {
		return err
	}
	defer realm.Close()
	const part = 1000
	for from := 0; from < count; from += part {
		var tx state.Tx
		for i := from; i < from+part; i++ {
			_, hash := authn.NewSecret(authn.SecretRobot)
			now := time.Now().UTC().Truncate(time.Second)
			robot := &state.Robot{
				Name: fmt.Sprintf("team-%d+ci-%d", i/10, i), Number: int64(i + 1), Description: "builds of a team",
				Permissions: []authn.Limit{{Type: "repository", Name: fmt.Sprintf("team-%d/**", i/10), Actions: []string{"pull", "push"}}},
				Secrets:     []state.RobotSecret{{Hash: hash, Created: now}}, Created: now, CreatedBy: "api_key:terraform", Updated: now,
			}
			state.Put(&tx, realm.Robots, robot.Name, robot, state.Absent)
		}
		if err := realm.Commit(ctx, &tx); err != nil {
			return err
		}
	}
	return nil
}

// stored is a start: how long until requests were served, and the memory in
// bytes a few seconds later.
type stored struct {
	took time.Duration
	cpu  time.Duration // of all processors; what else runs on the machine does not count
	rss  int64         // without what is mapped of files
}

// startStored starts Caddy, with the directive if there is one, and ends it
// again.
func startStored(o options, global, directive string) (result stored, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return stored{}, err
	}
	address := l.Addr().String()
	l.Close()
	if global != "" {
		global = "\tregistry_auth {\n\t\t" + global + "\n\t}\n"
	}
	dir := filepath.Join(o.dir, "stored")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return stored{}, err
	}
	file := filepath.Join(dir, "Caddyfile")
	config := fmt.Sprintf("{\n\tadmin off\n\tpersist_config off\n%s\tlog {\n\t\toutput file %s/log\n\t}\n}\nhttp://%s {\n\t%s\n\trespond 401\n}\n", global, dir, address, directive)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return stored{}, err
	}
	cmd := exec.Command(o.caddy, "run", "--config", file)
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return stored{}, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		result.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}()
	for {
		if r, err := http.Get("http://" + address + "/v2/"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusUnauthorized {
				break
			}
		}
		if time.Since(begin) > time.Minute {
			return stored{}, fmt.Errorf("the gateway does not start: see %s/log", dir)
		}
		time.Sleep(5 * time.Millisecond)
	}
	result.took = time.Since(begin)
	time.Sleep(3 * time.Second)
	result.rss, err = resident(cmd.Process.Pid)
	return result, err
}

// resident is a process's resident memory in bytes, without files that are
// mapped: the system takes that back when it needs it.
func resident(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "RssAnon:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no RssAnon of process %d", pid)
}

func megabytes(n int64) float64 { return float64(n) / 1e6 }
