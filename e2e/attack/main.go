// Command attack plays attack cases (JSON lines, see package runner) against
// a gateway that it starts itself: those of e2e/testdata, of the environment
// variable ATTACK_CASES (paths separated by colons) and of its arguments. It
// prints one line per failing row and a closing count.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/attack/runner"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	files := slices.Concat(
		[]string{"e2e/testdata/attacks.jsonl", "e2e/testdata/attacks-own.jsonl"},
		filepath.SplitList(os.Getenv("ATTACK_CASES")), os.Args[1:])
	if err := run(ctx, files); err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, files []string) (err error) {
	rows, err := runner.Load(files...)
	if err != nil {
		return err
	}
	s, err := stage.Start(ctx, stage.Options{Record: true, Managed: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	r, err := runner.New(s)
	if err != nil {
		return err
	}
	defer r.Close()
	if report := r.PlayAll(ctx, rows, os.Stdout); report.Failed > 0 {
		return fmt.Errorf("%d rows failed", report.Failed)
	}
	return nil
}
