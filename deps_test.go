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

// house has every folder of this module with the floor that it stands on, and
// the folders that it imports: all of them below, or rooms of the same folder.
// "" is the root package.
var house = map[string]struct {
	floor   int
	imports []string
}{
	"": {11, []string{"command", "credentials", "handlers", "methods", "stores"}},

	"command": {10, []string{"authn", "authz", "caddyfile", "cli", "client", "export", "internal/terminal", "login", "management", "state", "store", "store/boltstore", "store/memstore"}},

	"bench":    {9, []string{"authn", "state", "store", "store/boltstore", "store/pgstore", "store/pgstore/pgtest"}},
	"handlers": {9, []string{"answer", "authn", "authz", "caddyfile", "gateway", "portal", "realm", "tokenendpoint", "upstream"}},

	"cmd/caddy-registry-credential-provider": {9, nil},
	"cmd/docker-credential-caddy-registry":   {9, []string{"internal/terminal", "login"}},

	"realm": {8, []string{"answer", "authn", "authz", "caddyfile", "client", "export", "gateway", "internal/process", "management", "portal", "state", "store", "tokenendpoint", "tokenendpoint/keys", "upstream"}},

	"methods": {7, []string{"authn", "caddyfile", "internal/process"}},
	"stores":  {7, []string{"caddyfile", "store", "store/boltstore", "store/pgstore"}},
	"gateway": {7, []string{"answer", "authn", "authz", "caddyfile", "internal/admission", "internal/process", "portal", "signature", "state", "store", "tokenendpoint", "tokenendpoint/keys", "upstream"}},

	"credentials": {7, []string{"authn", "caddyfile", "internal/process", "upstream"}},

	"caddyfile": {6, []string{"authn", "authz", "export", "internal/duration", "management", "portal", "store", "tokenendpoint", "tokenendpoint/keys", "upstream"}},
	"cli":       {6, []string{"authn", "authz", "client", "internal/duration", "internal/terminal", "management", "migrate"}},

	"migrate": {5, []string{"authn", "authz", "management"}},
	"portal":  {5, []string{"answer", "authn", "authz", "internal/admission", "internal/loopback", "management", "state", "store"}},

	"management": {4, []string{"answer", "authn", "authz", "export", "internal/admission", "internal/duration", "state", "store", "tokenendpoint/keys"}},

	"state":         {3, []string{"authn", "authz", "store"}},
	"tokenendpoint": {3, []string{"answer", "authn", "authz", "internal/admission", "internal/duration", "tokenendpoint/keys"}},

	"upstream":           {3, []string{"authz", "internal/loopback"}},
	"tokenendpoint/keys": {3, []string{"answer", "authn"}},

	"answer":           {2, []string{"authn", "internal/admission", "store"}},
	"authz":            {2, []string{"authn"}},
	"internal/process": {2, []string{"authn"}},

	"authn":     {1, []string{"internal/duration", "internal/loopback"}},
	"client":    {1, []string{"internal/loopback"}},
	"export":    {1, nil},
	"login":     {1, []string{"internal/loopback", "internal/terminal"}},
	"signature": {1, nil},

	"store":                 {1, nil},
	"store/boltstore":       {1, []string{"store", "store/internal/engine"}},
	"store/faultstore":      {1, []string{"store"}},
	"store/internal/engine": {1, []string{"store"}},
	"store/memstore":        {1, []string{"store", "store/internal/engine"}},
	"store/pgstore":         {1, []string{"store", "store/internal/engine"}},
	"store/pgstore/pgtest":  {1, []string{"internal/freeport"}},
	"store/storetest":       {1, []string{"store"}},

	"internal/admission": {0, nil},
	"internal/duration":  {0, nil},
	"internal/freeport":  {0, nil},
	"internal/loopback":  {0, nil},
	"internal/terminal":  {0, nil},
}

// knowsCaddy reports whether a folder may import Caddy: those of the upper
// floors may, and what the process has once. The others are usable, and tested
// in seconds, without it.
func knowsCaddy(dir string) bool {
	return house[dir].floor >= 6 && dir != "cli" || dir == "internal/process"
}

// TestArrows holds the imports to one direction, down, and the table to what
// is there.
func TestArrows(t *testing.T) {
	all := packages(t)
	for dir, imports := range all {
		room, known := house[dir]
		if !known {
			t.Errorf("%s: say in deps_test.go on which floor it stands and what it imports", dir)
			continue
		}
		used := map[string]bool{}
		for imported, file := range imports {
			if other, ours := folderOf(imported); ours {
				used[other] = true
				if !slices.Contains(room.imports, other) {
					t.Errorf("%s imports %s: deps_test.go has no such arrow", file, imported)
				}
			}
			if strings.HasPrefix(imported, "github.com/caddyserver/") && !knowsCaddy(dir) {
				t.Errorf("%s imports %s: this floor does not know Caddy", file, imported)
			}
		}
		for _, other := range room.imports {
			if !used[other] {
				t.Errorf("%s does not import %s any more: take the arrow out of deps_test.go", dir, other)
			}
			if house[other].floor >= room.floor && topFolder(other) != topFolder(dir) {
				t.Errorf("%s (floor %d) imports %s (floor %d): arrows point down only", dir, room.floor, other, house[other].floor)
			}
		}
	}
	for dir := range house {
		if all[dir] == nil {
			t.Errorf("deps_test.go has %s, which is not there", dir)
		}
	}
}

func topFolder(dir string) string {
	top, _, _ := strings.Cut(dir, "/")
	return top
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
			if inside, ok := folderOf(imported); ok {
				next = append(next, inside)
			}
		}
	}
}

// folderOf returns the folder of a package of this module.
func folderOf(imported string) (dir string, ok bool) {
	if imported == modulePath {
		return "", true
	}
	return strings.CutPrefix(imported, modulePath+"/")
}

// packages returns the imports of each folder of this module, tests left out,
// with a file that has it.
func packages(t *testing.T) map[string]map[string]string {
	t.Helper()
	found := map[string]map[string]string{}
	for _, name := range shippedFiles(t) {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		dir := path.Dir(name)
		if dir == "." {
			dir = ""
		}
		if found[dir] == nil {
			found[dir] = map[string]string{}
		}
		for _, i := range file.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			found[dir][imported] = name
		}
	}
	if len(found[""]) == 0 {
		t.Fatal("no root package here: is the test run from its folder?")
	}
	return found
}

// shippedFiles are the Go files of this module that are not tests. Nested
// modules and testdata are not part of it.
func shippedFiles(t *testing.T) []string {
	t.Helper()
	var found []string
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
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			found = append(found, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
