package faults

import (
	"flag"
	"fmt"
	"os"
	"strings"
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

// families are how many tests share the time of a soak.
const families = 6

// rounds plays a family once, or for its part of the soak.
func rounds(t *testing.T, play func(t *testing.T)) {
	t.Helper()
	if *soak == 0 {
		play(t)
		return
	}
	for begin := time.Now(); !t.Failed() && time.Since(begin) < *soak/families; {
		play(t)
	}
}

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
	begin, during, end func(t *testing.T)
	// refuses are the answers that a kind of request may get instead of its own
	// while the fault lasts, and gone means that it may get none.
	refuses map[kind][]int
	// within is how long after its end the fault may be felt.
	within time.Duration
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

// owed are the faults that the gateway does not stand yet. What goes wrong in
// them is told and does not fail the test.
var owed = map[string]bool{}

// suffer lets users go on through a fault, and tells what became of them.
func suffer(t *testing.T, u *users, f fault) {
	t.Helper()
	t.Run(strings.ReplaceAll(f.name, " ", "_"), func(t *testing.T) {
		c := &check{T: t, fault: f.name}
		idle := time.Now()
		time.Sleep(lasts(time.Second))
		before := u.memory(c)
		r := row{family: u.family, fault: f.name}
		begin := time.Now()
		if f.begin != nil {
			f.begin(t)
		}
		if f.during != nil {
			f.during(t)
		} else {
			time.Sleep(lasts(2 * time.Second))
		}
		if f.end != nil {
			f.end(t)
		}
		end := time.Now()
		u.settle(c, end, slack(f.within))
		u.judge(c, &r, f, idle, begin, end)
		r.memory = max(0, u.peak(c)-before)
		r.lost += u.lost(c)
		r.owed = c.owed
		results.add(r)
	})
}

// check is a test whose failures are told only, where they are owed.
type check struct {
	*testing.T
	fault string
	owed  bool
}

func (c *check) Errorf(format string, args ...any) {
	c.Helper()
	if owed[c.fault] {
		c.owed = true
		c.Logf("owed: "+format, args...)
		return
	}
	c.T.Errorf(format, args...)
}
