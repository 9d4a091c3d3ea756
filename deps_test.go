package registryauth_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/caddy-registry-auth/caddy-registry-auth"

// arrows says what a part of the house may import of the others. A part is a
// top-level folder with all that is below it, or one below internal; "" is the
// root package.
var arrows = map[string][]string{
	"internal/duration": {},
	"internal/process":  {"authn"},
	"store":             {},
	"signature":         {},
	"export":            {},
	"login":             {},
	"cmd":               {"login"},
	"authn":             {"internal/duration", "store"},
	"authz":             {"authn", "store"},
	"tokenendpoint":     {"internal/duration", "authn", "authz", "store"},
	"state":             {"authn", "authz", "store"},
	"management":        {"internal/duration", "authn", "authz", "tokenendpoint", "store", "state", "export"},
	"portal":            {"authn", "authz", "tokenendpoint", "store", "state", "management"},
	"client":            {},
	"migrate":           {"authn", "authz", "management"},
	"cli":               {"internal/duration", "authn", "authz", "tokenendpoint", "management", "client", "migrate"},
	"caddyfile":         {"internal/duration", "authn", "authz", "tokenendpoint", "store", "management", "portal"},
	"methods":           {"internal/process", "authn", "caddyfile"},
	"stores":            {"caddyfile", "store"},
	"":                  {"methods", "stores", "internal/process", "authn", "authz", "tokenendpoint", "store", "state", "signature", "export", "management", "portal", "login", "client", "cli", "caddyfile"},
	"bench":             {"", "authn", "authz", "tokenendpoint", "store", "state", "caddyfile"},
}

// knowCaddy are the parts that may import Caddy. The others are usable, and
// tested in seconds, without it.
var knowCaddy = []string{"", "internal/process", "caddyfile", "methods", "stores", "bench"}

// TestArrows holds the imports to one direction.
func TestArrows(t *testing.T) {
	for dir, imports := range packages(t) {
		part := partOf(dir)
		allowed, known := arrows[part]
		if !known {
			t.Errorf("%s: say in deps_test.go what it may import", dir)
			continue
		}
		for imported, file := range imports {
			if inside, ok := within(imported); ok {
				other := partOf(inside)
				if other != part && !slices.Contains(allowed, other) {
					t.Errorf("%s imports %s: this arrow points the wrong way", file, imported)
				}
			}
			caddy := strings.HasPrefix(imported, "github.com/caddyserver/")
			if caddy && !slices.Contains(knowCaddy, part) {
				t.Errorf("%s imports %s: only the root package and caddyfile know Caddy", file, imported)
			}
		}
	}
}

// partOf is the part of the house that a folder belongs to.
func partOf(dir string) string {
	part, below, _ := strings.Cut(dir, "/")
	if part == "internal" {
		below, _, _ = strings.Cut(below, "/")
		return part + "/" + below
	}
	return part
}

// TestRootIsLight keeps what the demo and the end-to-end tests embed, a whole
// registry and an identity provider, out of everybody's Caddy. Modules that
// are linked through third parties stand in go.mod too (as "indirect").
func TestRootIsLight(t *testing.T) {
	heavy := []string{
		"github.com/distribution/", "github.com/google/go-containerregistry", "github.com/docker/",
		modulePath + "/cmd", modulePath + "/e2e",
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range heavy {
		if strings.Contains(string(mod), h) {
			t.Errorf("go.mod requires %s", h)
		}
	}
	all := packages(t)
	seen := map[string]bool{}
	for next := []string{""}; len(next) > 0; {
		dir := next[0]
		next = next[1:]
		if seen[dir] {
			continue
		}
		seen[dir] = true
		for imported, file := range all[dir] {
			for _, h := range heavy {
				if strings.HasPrefix(imported, h) {
					t.Errorf("the root package links %s (%s)", imported, file)
				}
			}
			if inside, ok := within(imported); ok {
				next = append(next, inside)
			}
		}
	}
}

// within returns the folder of a package of this module.
func within(imported string) (dir string, ok bool) {
	if imported == modulePath {
		return "", true
	}
	return strings.CutPrefix(imported, modulePath+"/")
}

// packages returns the imports of each folder of this module, tests left out,
// with a file that has it. Nested modules and testdata are not part of it.
func packages(t *testing.T) map[string]map[string]string {
	t.Helper()
	found := map[string]map[string]string{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if _, err := os.Stat(filepath.Join(name, "go.mod")); name != "." && err == nil {
				return filepath.SkipDir
			}
			if base := d.Name(); base == "testdata" || base != "." && strings.HasPrefix(base, ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := path.Dir(filepath.ToSlash(name))
		if dir == "." {
			dir = ""
		}
		if found[dir] == nil {
			found[dir] = map[string]string{}
		}
		for _, i := range file.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			found[dir][imported] = name
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found[""]) == 0 {
		t.Fatal("no root package here: is the test run from its folder?")
	}
	return found
}
