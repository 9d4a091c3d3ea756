package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Log collects the lines that the gateway logs.
type Log struct {
	mu      sync.Mutex
	rest    []byte // of a line that is not complete yet
	lines   []string
	changed chan struct{} // closed and replaced with every line
}

func newLog() *Log { return &Log{changed: make(chan struct{})} }

// Write implements [io.Writer] for the gateway's standard error.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, b...)
	for {
		line, rest, complete := bytes.Cut(l.rest, []byte("\n"))
		if !complete {
			break
		}
		l.lines = append(l.lines, string(line))
		l.rest = bytes.Clone(rest)
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return len(b), nil
}

// Mark returns a position for [Log.Since].
func (l *Log) Mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lines)
}

// Since returns the lines after a [Log.Mark].
func (l *Log) Since(mark int) []string {
	lines, _ := l.since(mark)
	return lines
}

func (l *Log) since(mark int) ([]string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines[mark:]...), l.changed
}

// Tail returns the last n lines.
func (l *Log) Tail(n int) []string {
	lines := l.Since(0)
	return lines[max(0, len(lines)-n):]
}

// Entry is one line, decoded.
type Entry map[string]any

// Wait waits up to five seconds for a line after mark that matches.
func (l *Log) Wait(mark int, match func(Entry) bool) (Entry, error) {
	timeout := time.After(5 * time.Second)
	for {
		lines, changed := l.since(mark)
		for _, line := range lines {
			var e Entry
			if json.Unmarshal([]byte(line), &e) == nil && match(e) {
				return e, nil
			}
		}
		select {
		case <-changed:
		case <-timeout:
			return nil, fmt.Errorf("no such line in the log:\n%s", strings.Join(lines, "\n"))
		}
	}
}

// Faults returns the lines after mark that no gateway may ever log: panics
// and findings of the race detector.
func (l *Log) Faults(mark int) []string {
	var found []string
	for _, line := range l.Since(mark) {
		lower := strings.ToLower(line)
		if strings.Contains(lower, "panic") || strings.Contains(line, "DATA RACE") || strings.HasPrefix(line, "fatal error:") {
			found = append(found, line)
		}
	}
	return found
}
