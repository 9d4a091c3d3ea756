// Command bench compares the gateway with the same Caddy binary without the
// directive, side by side, and prints ratios: interleaved pairs of runs with
// wrk against an in-memory upstream, the same request headers on both sides.
//
//	go build -o /tmp/caddy ./cmd/caddy && go run ./bench -caddy /tmp/caddy
//
// The upstream and wrk are pinned to one processor, the program under test to
// another one where taskset is there. It needs wrk.
//
// With -only stored it measures, without wrk, how long a gateway with many
// robots in its store takes to start, and its memory. That needs PostgreSQL.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.caddy, "caddy", "", "the caddy binary with the plugin")
	flag.IntVar(&o.pairs, "pairs", 7, "how many pairs of runs")
	flag.DurationVar(&o.duration, "duration", 4*time.Second, "how long each run takes")
	flag.IntVar(&o.connections, "connections", 16, "how many connections")
	only := flag.String("only", "", "run only the case of that name; the last ones are called passwords and stored")
	flag.StringVar(&o.audit, "audit", "all", "the gateway's audit setting")
	target := flag.String("flood", "", "only show wrong passwords to this URL")
	flag.Parse()
	if *target != "" {
		flood(*target, o.duration)
		return
	}
	if o.caddy == "" {
		log.Fatal("bench: -caddy is missing: build it with `go build -o /tmp/caddy ./cmd/caddy`")
	}
	for _, tool := range []string{"wrk"} {
		if _, err := exec.LookPath(tool); err != nil {
			log.Fatalf("bench: %v", err)
		}
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	o.dir = dir
	if err := run(o, *only); err != nil {
		log.Fatalf("bench: %v", err)
	}
}

type options struct {
	caddy, dir, audit  string
	pairs, connections int
	duration           time.Duration
}

// benchCase is one kind of request, sent to both sides with the same headers.
type benchCase struct {
	name, path string
	header     func(g *servers) string
	gateOnly   bool // has no counterpart without the directive
}

var cases = []benchCase{
	{name: "manifest GET, registry token", path: "/v2/team/app/manifests/v1", header: func(g *servers) string { return "Authorization: Bearer " + g.token }},
	{name: "manifest GET, robot secret", path: "/v2/team/app/manifests/v1", header: func(g *servers) string { return "Authorization: Basic " + g.basic }},
	{name: "manifest GET, anonymous", path: "/v2/public/app/manifests/v1"},
	{name: "blob GET, 64 MiB", path: "/v2/team/app/blobs/" + blobDigest, header: func(g *servers) string { return "Authorization: Bearer " + g.token }},
	{name: "401 challenge", path: "/v2/team/app/manifests/v1", gateOnly: true},
	{name: "token, robot secret", path: "/v2/token?service=registry&scope=repository:team/app:pull,push", gateOnly: true, header: func(g *servers) string { return "Authorization: Basic " + g.basic }},
}

func run(o options, only string) error {
	switch only {
	case "passwords":
		return benchPasswords(o)
	case "stored":
		return benchStored(o)
	}
	g, err := start(o)
	if err != nil {
		return err
	}
	defer g.stop()
	for _, c := range cases {
		if only != "" && !strings.Contains(c.name, only) {
			continue
		}
		if err := compare(o, g, c); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	if only != "" {
		return nil
	}
	if err := benchPasswords(o); err != nil {
		return err
	}
	return benchStored(o)
}

// side is one of the two that are compared.
type side struct {
	server  *server
	results *[]result
}

// compare runs the pairs of one case and prints medians and ratios.
func compare(o options, g *servers, c benchCase) error {
	var bare, gate []result
	sides := []side{{g.bare, &bare}, {g.gate, &gate}}
	if c.gateOnly {
		sides = sides[1:]
	}
	for range o.pairs {
		for _, s := range sides {
			r, err := wrk(o, s.server, c, g)
			if err != nil {
				return err
			}
			*s.results = append(*s.results, r)
		}
		slices.Reverse(sides) // neither is always the first
	}
	m := medians(gate)
	if c.gateOnly {
		fmt.Printf("%-30s gateway %9.0f req/s  p50 %8s  p99 %8s  cpu %6.1f µs/req\n", c.name, m.rate, m.p50, m.p99, m.cpu)
		return nil
	}
	b := medians(bare)
	ratios := make([]float64, len(gate))
	for i := range gate {
		ratios[i] = gate[i].rate / bare[i].rate
	}
	slices.Sort(ratios)
	fmt.Printf("%-30s bare %9.0f req/s  gateway %9.0f req/s  median of paired ratios %.3f  p99 %s → %s  cpu %.1f → %.1f µs/req\n",
		c.name, b.rate, m.rate, ratios[len(ratios)/2], b.p99, m.p99, b.cpu, m.cpu)
	return nil
}
