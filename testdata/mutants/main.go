// Command mutants changes one condition, error or statement of a package at a
// time and says which changes no test notices.
//
//	go run ./testdata/mutants [-files a.go,b.go] [-not c.go] [-tests ./pkg,./other] [-for 10m] ./pkg
//
// All mutants are compiled into one test binary, behind a number that the
// environment gives, so that a mutant costs a run of the tests that reach it
// and no build. The tests run with -short, each first without a mutant; what
// fails then or is too slow is left out and named.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/format"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	log.SetFlags(0)
	files := flag.String("files", "", "mutate these files of the package only, comma-separated")
	not := flag.String("not", "", "do not mutate these files, comma-separated")
	tests := flag.String("tests", "", "packages whose tests run, comma-separated (the mutated one)")
	skip := flag.String("skip", "", "tests that do not run, comma-separated")
	run := flag.String("run", ".", "tests that run, as go test has it")
	only := flag.String("only", "", "numbers of the mutants to run, comma-separated")
	slow := flag.Duration("slow", 10*time.Second, "leave out tests that take longer")
	budget := flag.Duration("budget", 30*time.Second, "how long the tests of a mutant take that run against it")
	workers := flag.Int("workers", 2, "processes at once")
	limit := flag.Duration("for", time.Hour, "stop after this long")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if *tests == "" {
		*tests = flag.Arg(0)
	}
	work, err := os.MkdirTemp("", "mutants")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(work)
	mutants, overlay, err := mutate(flag.Arg(0), list(*files), list(*not), work)
	if err != nil {
		log.Fatal(err)
	}
	if *only != "" {
		mutants = slices.DeleteFunc(mutants, func(m mutant) bool { return !slices.Contains(list(*only), strconv.Itoa(m.id)) })
	}
	r := &runner{reached: map[int][]*test{}, outcomes: map[string]int{}, budget: *budget, end: time.Now().Add(*limit)}
	for i, pkg := range list(*tests) {
		b, err := build(pkg, overlay, filepath.Join(work, strconv.Itoa(i)+".test"))
		if err != nil {
			log.Fatal(err)
		}
		if err := r.trace(b, *run, list(*skip), *slow, *workers); err != nil {
			log.Fatal(err)
		}
	}
	each(mutants, *workers, r.try)
	fmt.Printf("%s: %d mutants, %d killed (%d of them by a timeout), %d survived, %d not reached by a test, %d not run\n",
		flag.Arg(0), len(mutants), r.outcomes["KILLED"]+r.outcomes["TIMEOUT"], r.outcomes["TIMEOUT"],
		r.outcomes["SURVIVED"], r.outcomes["UNREACHED"], r.outcomes["LEFT"])
}

// each calls f for each value, in some goroutines.
func each[T any](values []T, workers int, f func(T)) {
	next := make(chan T)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for v := range next {
				f(v)
			}
		})
	}
	for _, v := range values {
		next <- v
	}
	close(next)
	all.Wait()
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}

// mutate writes the mutated files of a package into work, and an overlay that
// puts them in place of the real ones.
func mutate(pkg string, only, not []string, work string) ([]mutant, string, error) {
	dir, err := filepath.Abs(pkg)
	if err != nil {
		return nil, "", err
	}
	sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, "", err
	}
	var mutants []mutant
	replace := map[string]string{}
	var name string
	for _, source := range sources {
		base := filepath.Base(source)
		if strings.HasSuffix(base, "_test.go") || len(only) > 0 && !slices.Contains(only, base) || slices.Contains(not, base) {
			continue
		}
		f, err := parse(source, len(mutants))
		if err != nil {
			return nil, "", err
		}
		name = f.name
		mutants = append(mutants, f.mutants...)
		var b bytes.Buffer
		if err := format.Node(&b, f.positions, f.syntax); err != nil {
			return nil, "", fmt.Errorf("%s: %w", base, err)
		}
		out := filepath.Join(work, base)
		if err := os.WriteFile(out, b.Bytes(), 0o600); err != nil {
			return nil, "", err
		}
		replace[source] = out
	}
	helper := filepath.Join(work, "zz_mutants.go")
	if err := os.WriteFile(helper, []byte("package "+name+"\n"+switches), 0o600); err != nil {
		return nil, "", err
	}
	replace[filepath.Join(dir, "zz_mutants.go")] = helper
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, "", err
	}
	path := filepath.Join(work, "overlay.json")
	return mutants, path, os.WriteFile(path, overlay, 0o600)
}

func build(pkg, overlay, out string) (*binary, error) {
	dir, err := filepath.Abs(pkg)
	if err != nil {
		return nil, err
	}
	c := exec.Command("go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", out, pkg)
	if text, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", pkg, err, text)
	}
	return &binary{path: out, dir: dir}, nil
}
