package main

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// binary is one compiled test binary.
type binary struct{ path, dir string }

// test is a test of a binary, how long it takes without a mutant on a machine
// that does nothing else, and how many mutants it noticed: what noticed many is
// asked early.
type test struct {
	in    *binary
	name  string
	takes time.Duration
	kills int
}

// runner runs many mutants.
type runner struct {
	budget time.Duration
	end    time.Time

	mu       sync.Mutex
	reached  map[int][]*test
	outcomes map[string]int
}

// trace runs each test alone, without a mutant, and notes what it reaches.
func (r *runner) trace(b *binary, which string, skip []string, slow time.Duration, workers int) error {
	c := exec.Command(b.path, "-test.list", which)
	c.Dir = b.dir
	names, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, names)
	}
	each(strings.Fields(string(names)), workers, func(name string) {
		if strings.HasPrefix(name, "Benchmark") {
			return
		}
		if slices.Contains(skip, name) {
			log.Println("LEFT OUT", name)
			return
		}
		trace := b.path + "." + name
		text, passed, takes := b.run([]string{name}, 4*slow, "MUTANTS_TRACE="+trace)
		if !passed || takes > slow {
			log.Println("LEFT OUT", name, "which is slow or fails without a mutant:", firstLine(text))
			return
		}
		t := &test{in: b, name: name, takes: takes}
		reached, _ := os.ReadFile(trace)
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, line := range strings.Fields(string(reached)) {
			if id, err := strconv.Atoi(line); err == nil && !slices.Contains(r.reached[id], t) {
				r.reached[id] = append(r.reached[id], t)
			}
		}
	})
	return nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// run runs tests and says whether they pass, and how long that took or would
// have taken if the processor had been free.
func (b *binary) run(tests []string, limit time.Duration, environment string) (text string, passed bool, takes time.Duration) {
	c := exec.Command(b.path, "-test.short", "-test.failfast", "-test.timeout", limit.String(),
		"-test.run", "^("+strings.Join(tests, "|")+")$")
	c.Dir, c.Env, c.WaitDelay = b.dir, append(os.Environ(), environment), time.Second
	start := time.Now()
	out, err := c.CombinedOutput()
	takes = time.Since(start)
	if c.ProcessState != nil {
		takes = min(takes, 2*(c.ProcessState.UserTime()+c.ProcessState.SystemTime())+100*time.Millisecond)
	}
	return string(out), err == nil, takes
}

// try runs the tests that reach a mutant and says what became of it.
func (r *runner) try(m mutant) {
	outcome, why := r.outcome(m.id)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes[outcome]++
	fmt.Println(outcome, m, why)
}

var failing = regexp.MustCompile(`(?m)^--- FAIL: (\w+)`)

// outcome runs the tests that reach a mutant until one fails: the quickest
// first, and those that noticed the most.
func (r *runner) outcome(id int) (outcome, why string) {
	if time.Now().After(r.end) {
		return "LEFT", ""
	}
	r.mu.Lock()
	by := slices.Clone(r.reached[id])
	cost := func(t *test) int { return int(t.takes) / (1 + t.kills) }
	slices.SortStableFunc(by, func(a, b *test) int { return cost(a) - cost(b) })
	r.mu.Unlock()
	if len(by) == 0 {
		return "UNREACHED", ""
	}
	// Tests of a batch run in the order of the source, so a batch lasts about as
	// long as those before it.
	spent := time.Duration(0)
	for len(by) > 0 && (spent == 0 || spent+by[0].takes <= r.budget) {
		in, limit, share := by[0].in, 10*time.Second, max(spent, 250*time.Millisecond)
		var names []string
		for taken := time.Duration(0); len(by) > 0 && by[0].in == in && (len(names) == 0 || taken+by[0].takes <= share); by = by[1:] {
			names = append(names, by[0].name)
			limit += 10 * by[0].takes
			taken += by[0].takes
			spent += by[0].takes
		}
		if text, passed, _ := in.run(names, limit, "MUTANT="+strconv.Itoa(id)); !passed {
			why = strings.Join(names, " ")
			if f := failing.FindStringSubmatch(text); f != nil {
				why = f[1]
				r.noticed(id, why)
			}
			if strings.Contains(text, "panic: test timed out") {
				return "TIMEOUT", why
			}
			return "KILLED", why
		}
	}
	if len(by) > 0 {
		return "SURVIVED", fmt.Sprintf("(%d slow tests did not run)", len(by))
	}
	return "SURVIVED", ""
}

func (r *runner) noticed(id int, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.reached[id] {
		if t.name == name {
			t.kills++
		}
	}
}
