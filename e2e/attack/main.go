// Command attack plays attack cases (JSON lines, see package runner) against
// gateways that it starts itself: those of the files in its arguments or in
// the environment variable ATTACK_CASES (paths separated by colons), or else
// those of e2e/testdata. It prints one line per failing row and a closing
// count.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/attack/runner"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	chosen := append(filepath.SplitList(os.Getenv("ATTACK_CASES")), os.Args[1:]...)
	files := runner.Files("e2e/testdata", chosen...)
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
	r, err := runner.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if report := r.PlayAll(ctx, rows, os.Stdout); report.Failed > 0 {
		return fmt.Errorf("%d rows failed", report.Failed)
	}
	return nil
}
