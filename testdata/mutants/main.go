// Command mutants changes one condition, error or statement of a package at a
// time and says which changes no test notices.
//
//	go run ./testdata/mutants [-files a.go,b.go] [-tests ./pkg,./other] [-for 10m] ./pkg
//
// All mutants are compiled into one test binary, behind a number that the
// environment gives, so that a mutant costs a run of the tests that reach it
// and no build.
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
	"time"
)

// binary is one compiled test binary and how long each of its tests takes.
type binary struct {
	path, dir string
	tests     map[string]time.Duration
}

// reach is a test that runs the code of a mutant.
type reach struct {
	in   *binary
	test string
}

func main() {
	log.SetFlags(0)
	files := flag.String("files", "", "mutate these files of the package only, comma-separated")
	tests := flag.String("tests", "", "packages whose tests run, comma-separated (the mutated one)")
	skip := flag.String("skip", "", "tests that do not run, comma-separated")
	only := flag.String("only", "", "numbers of the mutants to run, comma-separated")
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
	mutants, overlay, err := mutate(flag.Arg(0), list(*files), work)
	if err != nil {
		log.Fatal(err)
	}
	reached := map[int][]reach{}
	for i, pkg := range list(*tests) {
		b, err := build(pkg, overlay, filepath.Join(work, strconv.Itoa(i)+".test"))
		if err != nil {
			log.Fatal(err)
		}
		if err := b.trace(list(*skip), reached); err != nil {
			log.Fatal(err)
		}
	}
	var killed, survived, unreached, left int
	end := time.Now().Add(*limit)
	for _, m := range mutants {
		if *only != "" && !slices.Contains(list(*only), strconv.Itoa(m.id)) {
			continue
		}
		switch {
		case time.Now().After(end):
			left++
		case len(reached[m.id]) == 0:
			unreached++
			fmt.Println("UNREACHED", m)
		case kill(m.id, reached[m.id]):
			killed++
		default:
			survived++
			fmt.Println("SURVIVED ", m)
		}
	}
	fmt.Printf("%s %s: %d mutants, %d killed, %d survived, %d not reached by a test, %d left\n",
		flag.Arg(0), *files, killed+survived+unreached+left, killed, survived, unreached, left)
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}

// mutate writes the mutated files of a package into work, and an overlay that
// puts them in place of the real ones.
func mutate(pkg string, only []string, work string) ([]mutant, string, error) {
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
		if strings.HasSuffix(base, "_test.go") || len(only) > 0 && !slices.Contains(only, base) {
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
	return &binary{path: out, dir: dir, tests: map[string]time.Duration{}}, nil
}

// trace runs each test alone, without a mutant, and notes what it reaches.
func (b *binary) trace(skip []string, reached map[int][]reach) error {
	c := exec.Command(b.path, "-test.list", ".")
	c.Dir = b.dir
	names, err := c.Output()
	if err != nil {
		return err
	}
	for _, test := range strings.Fields(string(names)) {
		if strings.HasPrefix(test, "Benchmark") || slices.Contains(skip, test) {
			continue
		}
		trace := b.path + ".trace"
		_ = os.Remove(trace)
		start := time.Now()
		if !b.run([]string{test}, time.Minute, "MUTANTS_TRACE="+trace) {
			log.Printf("%s fails or is slow without a mutant, and is left out", test)
			continue
		}
		b.tests[test] = time.Since(start)
		text, _ := os.ReadFile(trace)
		seen := map[int]bool{}
		for _, line := range strings.Fields(string(text)) {
			if id, err := strconv.Atoi(line); err == nil && !seen[id] {
				seen[id] = true
				reached[id] = append(reached[id], reach{b, test})
			}
		}
	}
	return nil
}

// run reports whether the tests pass.
func (b *binary) run(tests []string, limit time.Duration, environment string) bool {
	c := exec.Command(b.path, "-test.short", "-test.failfast", "-test.timeout", limit.String(),
		"-test.run", "^("+strings.Join(tests, "|")+")$")
	c.Dir, c.Env = b.dir, append(os.Environ(), environment)
	return c.Run() == nil
}

// kill runs the tests that reach a mutant, the quickest first.
func kill(id int, by []reach) bool {
	slices.SortStableFunc(by, func(a, b reach) int { return int(a.in.tests[a.test] - b.in.tests[b.test]) })
	for size := 4; len(by) > 0; size = 40 {
		batch := by[:min(size, len(by))]
		by = by[len(batch):]
		for len(batch) > 0 {
			in := batch[0].in
			var tests []string
			var rest []reach
			limit := 10 * time.Second
			for _, r := range batch {
				if r.in != in {
					rest = append(rest, r)
					continue
				}
				tests = append(tests, r.test)
				limit += 3 * in.tests[r.test]
			}
			if !in.run(tests, limit, "MUTANT="+strconv.Itoa(id)) {
				return true
			}
			batch = rest
		}
	}
	return false
}
