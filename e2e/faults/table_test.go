package faults

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// row is what one fault did.
type row struct {
	family, fault string
	requests      int           // of users, from its beginning until it was over
	refused       int           // told to wait, as the fault allows
	failed        int           // answered otherwise, or not at all
	lost          int           // acknowledged, and not there afterwards
	recovery      time.Duration // from its end until nobody was refused any more
	before, p99   time.Duration // of what is served: between faults, and in this one
	memory        int64         // at most, above that of the time before
}

// table has the rows of all rounds, one for each fault.
type table struct {
	sync.Mutex
	rows   []row
	before map[string][]time.Duration // of each round
	p99    map[string][]time.Duration
}

var results = table{before: map[string][]time.Duration{}, p99: map[string][]time.Duration{}}

// add takes a row in: what can be counted is counted together, what is measured
// is the worst but for the p99, of which it is the median.
func (s *table) add(r row) {
	s.Lock()
	defer s.Unlock()
	if r.before > 0 && r.p99 > 0 {
		s.before[r.fault] = append(s.before[r.fault], r.before)
		s.p99[r.fault] = append(s.p99[r.fault], r.p99)
	}
	i := slices.IndexFunc(s.rows, func(have row) bool { return have.fault == r.fault })
	if i < 0 {
		s.rows = append(s.rows, r)
		return
	}
	have := &s.rows[i]
	have.requests += r.requests
	have.refused += r.refused
	have.failed += r.failed
	have.lost += r.lost
	have.recovery = max(have.recovery, r.recovery)
	have.memory = max(have.memory, r.memory)
}

// String is the table as Markdown.
func (s *table) String() string {
	s.Lock()
	defer s.Unlock()
	if len(s.rows) == 0 {
		return ""
	}
	var b strings.Builder
	family := ""
	for _, r := range s.rows {
		if r.family != family {
			family = r.family
			fmt.Fprintf(&b, "\n| %s | requests | refused | failed | lost | recovery | p99 | memory |\n|---|---|---|---|---|---|---|---|\n", family)
		}
		slower := "–"
		if before, now := median(s.before[r.fault]), median(s.p99[r.fault]); now > 0 {
			slower = fmt.Sprintf("× %.1f (%s → %s)", now.Seconds()/before.Seconds(), milliseconds(before), milliseconds(now))
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %s | %s | + %d MB |\n",
			r.fault, r.requests, r.refused, r.failed, r.lost, seconds(r.recovery), slower, r.memory>>20)
	}
	return b.String() + "\n"
}

func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }

func seconds(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

const (
	page      = "../../docs/reliability.md"
	tableFrom = "<!-- figures of the last run: written by -write -->\n"
	tableTo   = "<!-- end of the figures -->\n"
)

// keep writes the table into the page that describes it.
func (s *table) keep() error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), tableFrom)
	_, after, closed := strings.Cut(rest, tableTo)
	if !ok || !closed {
		return fmt.Errorf("%s has no place for the figures", page)
	}
	return os.WriteFile(page, []byte(before+tableFrom+"\n"+circumstances()+"\n"+s.String()+tableTo+after), 0o644)
}

// circumstances say when and on what the figures were measured.
func circumstances() string {
	commit, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		commit = []byte("unknown")
	}
	how, load := "one round", "unknown"
	if *soak > 0 {
		how = "a soak of " + soak.String()
	}
	// What else the machine had to do is most of any p99.
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load, _, _ = strings.Cut(string(text), " ")
	}
	return fmt.Sprintf("%s, commit %s, %d processors with a load of %s, %s.\n",
		time.Now().UTC().Format("2006-01-02"), strings.TrimSpace(string(commit)), runtime.NumCPU(), load, how)
}
