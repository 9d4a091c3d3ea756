package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// result is one run of wrk.
type result struct {
	rate     float64 // requests per second
	p50, p99 time.Duration
	cpu      float64 // processor time of the server for one request, µs
}

var (
	rateLine    = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	latencyLine = regexp.MustCompile(`(50|99)%\s+([0-9.]+[a-z]+)`)
	countLine   = regexp.MustCompile(`([0-9]+) requests in`)
)

// wrk loads one server with one case.
func wrk(o options, s *server, c benchCase, g *servers) (result, error) {
	args := []string{"-t1", fmt.Sprintf("-c%d", o.connections), fmt.Sprintf("-d%ds", int(o.duration.Seconds())), "--latency"}
	if c.header != nil {
		args = append(args, "-H", c.header(g))
	}
	args = append(args, "http://"+s.address+c.path)
	before := s.cpu()
	out, err := pinned("0", "wrk", args...).CombinedOutput()
	spent := s.cpu() - before
	text := string(out)
	if err != nil {
		return result{}, fmt.Errorf("wrk: %w: %s", err, text)
	}
	if strings.Contains(text, "Non-2xx") && c.name != "401 challenge" {
		return result{}, fmt.Errorf("refused requests: %s", text)
	}
	var r result
	if m := rateLine.FindStringSubmatch(text); m != nil {
		r.rate, _ = strconv.ParseFloat(m[1], 64)
	}
	for _, m := range latencyLine.FindAllStringSubmatch(text, -1) {
		d, _ := time.ParseDuration(m[2])
		if m[1] == "50" {
			r.p50 = d
		} else {
			r.p99 = d
		}
	}
	if m := countLine.FindStringSubmatch(text); m != nil {
		if n, _ := strconv.ParseFloat(m[1], 64); n > 0 {
			r.cpu = float64(spent.Microseconds()) / n
		}
	}
	return r, nil
}

func medians(runs []result) result {
	middle := func(get func(result) float64) float64 {
		values := make([]float64, len(runs))
		for i, r := range runs {
			values[i] = get(r)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return result{
		rate: middle(func(r result) float64 { return r.rate }),
		p50:  time.Duration(middle(func(r result) float64 { return float64(r.p50) })),
		p99:  time.Duration(middle(func(r result) float64 { return float64(r.p99) })),
		cpu:  middle(func(r result) float64 { return r.cpu }),
	}
}

// pinned runs a command on one processor where that is possible.
func pinned(cpu, name string, args ...string) *exec.Cmd {
	if taskset, err := exec.LookPath("taskset"); err == nil {
		return exec.Command(taskset, append([]string{"-c", cpu, name}, args...)...)
	}
	return exec.Command(name, args...)
}
