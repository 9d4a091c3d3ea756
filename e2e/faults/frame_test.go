package faults

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
)

var (
	soak  = flag.Duration("soak", 0, "go on for so long, with longer faults and strict bounds")
	write = flag.Bool("write", false, "write the table into docs/reliability.md")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if gateway.Race && *soak == 0 {
		// It takes a quarter of an hour then, beside all other tests.
		fmt.Println("not run: e2e/faults with the race detector (.ci/run plays it without)")
		os.Exit(0)
	}
	code := m.Run()
	if table := results.String(); table != "" {
		fmt.Print(table)
		if *write {
			if err := results.keep(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// parts are how many calls of rounds share the time of a soak.
const parts = 8

// rounds plays a family once, or for its part of the soak.
func rounds(t *testing.T, play func(t *testing.T)) {
	t.Helper()
	if *soak == 0 {
		play(t)
		return
	}
	for begin, round := time.Now(), 1; round == 1 || time.Since(begin) < *soak/parts; round++ {
		if !t.Run(fmt.Sprint("round ", round), play) {
			return
		}
	}
}

// patience is how long users wait for an answer.
func patience() time.Duration { return lasts(10 * time.Second) }

// lasts is how long a fault goes on: a while, or five times that in a soak.
func lasts(d time.Duration) time.Duration {
	if *soak > 0 {
		return 5 * d
	}
	return d
}

// slack is how much longer than a bound things may take: the machine that runs
// all tests is busy with others, and a race detector is slow. A soak allows
// none.
func slack(d time.Duration) time.Duration {
	switch {
	case gateway.Race:
		return 4 * d
	case *soak == 0:
		return 2 * d
	}
	return d
}

// fault is something that goes wrong for a while.
type fault struct {
	name string
	// begin breaks something; during runs while it is broken, by default it
	// waits for two seconds; end repairs it.
	begin, during, end func(c *check)
	// refuses are the answers that a kind of request may get instead of its own
	// while the fault lasts, and gone means that it may get none.
	refuses map[kind][]int
	// atEnd are those that it may get, besides, while it is repaired.
	atEnd map[kind][]int
	// within is how long after its end the fault may be felt.
	within time.Duration
	// measures are the kinds whose p99 tells what the fault does to those who
	// have nothing to do with it; by default it is that of pulls.
	measures []kind
	// felt says that somebody is refused or has to wait for a second: a fault
	// that nobody feels would show nothing.
	felt bool
	// grows is by how many bytes the gateways may grow together; 0 is 96 MiB.
	grows int64
}

const gone = 0

// everybody lets all kinds of requests be refused like that.
func everybody(statuses ...int) map[kind][]int {
	all := map[kind][]int{}
	for _, k := range kinds {
		all[k] = statuses
	}
	return all
}

// suffer lets users go on through a fault, and tells what became of them.
func suffer(t *testing.T, u *users, f fault) {
	t.Helper()
	t.Run(strings.ReplaceAll(f.name, " ", "_"), func(t *testing.T) {
		c := &check{T: t, fault: f.name}
		marks := make([]int, len(u.nodes))
		for i, n := range u.nodes {
			marks[i] = n.Log.Mark()
		}
		idle := time.Now()
		time.Sleep(lasts(time.Second))
		before := u.memory(c)
		r := row{family: u.family, fault: f.name}
		begin := time.Now()
		if f.begin != nil {
			f.begin(c)
		}
		if f.during != nil {
			f.during(c)
		} else {
			time.Sleep(lasts(2 * time.Second))
		}
		repair := time.Now()
		if f.end != nil {
			f.end(c)
		}
		end := time.Now()
		if u.afterwards != nil {
			u.afterwards(c)
			u.afterwards = nil
		}
		u.settle(c, end, slack(f.within))
		u.judge(c, &r, f, [4]time.Time{idle, begin, repair, end})
		r.memory = max(0, u.peak(c)-before)
		most := f.grows
		if most == 0 {
			most = 96 << 20
		}
		if gateway.Race {
			most *= 8
		}
		if r.memory > most {
			c.Errorf("the gateways grew by %d MiB, want at most %d", r.memory>>20, most>>20)
		}
		r.lost += u.lost(c)
		for i, n := range u.nodes {
			for _, line := range n.Log.Faults(marks[i]) {
				c.Errorf("the gateway's log: %.2000s", line)
			}
		}
		results.add(r)
	})
}

// check is a test that tells the first of its failures only: what goes wrong
// for one user goes wrong for hundreds.
type check struct {
	*testing.T
	fault string
	mu    sync.Mutex
	told  int
}

// enough is how many failures of one fault are told.
const enough = 8

func (c *check) Errorf(format string, args ...any) {
	c.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told++; c.told > enough {
		c.Fail()
		return
	}
	c.T.Errorf(format, args...)
}
