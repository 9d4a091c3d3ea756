package registryauth_test

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// What users and their configurations depend on is held by files in
// testdata/golden. They change when a feature is added, never when code moves.
var updateGolden = flag.Bool("update-golden", false, "write testdata/golden instead of comparing with it")

// TestGoldenModules holds the ids of our Caddy modules.
func TestGoldenModules(t *testing.T) {
	var ids []string
	for _, id := range caddy.Modules() {
		info, err := caddy.GetModule(id)
		if err != nil {
			t.Fatal(err)
		}
		of := reflect.TypeOf(info.New())
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if strings.HasPrefix(of.PkgPath(), "github.com/caddy-registry-auth/caddy-registry-auth") {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	compareGolden(t, "modules.txt", strings.Join(ids, "\n")+"\n")
}

// TestGoldenAdapt holds what every Caddyfile of testdata and of the pages is
// adapted to, as a hash by the hash of its text. A text that is not listed is
// a new one: nothing is claimed of it until the next -update-golden.
func TestGoldenAdapt(t *testing.T) {
	known := map[string]string{}
	if data, err := os.ReadFile("testdata/golden/adapt.txt"); err == nil {
		for line := range strings.Lines(string(data)) {
			if text, adapted, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				known[text] = adapted
			}
		}
	}
	var lines []string
	compared := 0
	for name, text := range caddyfiles(t) {
		adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
		result := "refused"
		if err == nil {
			result = digest(indent(t, adapted))
		}
		key := digest(text)
		lines = append(lines, key+" "+result+"\n")
		if want, ok := known[key]; ok {
			compared++
			if want != result && !*updateGolden {
				t.Errorf("%s is adapted to something else: %s, want %s", name, result, want)
			}
		}
	}
	slices.Sort(lines)
	if *updateGolden {
		writeGolden(t, "adapt.txt", strings.Join(slices.Compact(lines), ""))
	} else if compared < 20 {
		t.Errorf("compared %d Caddyfiles only", compared)
	}
}

// TestGoldenOpenAPI holds the document of the management API.
func TestGoldenOpenAPI(t *testing.T) {
	g := startGateway(t, standardRealm+"\nmanagement {\nharbor_robots\n}\n")
	a := g.do("GET", "/auth/api/v1/openapi.json", "")
	if a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	compareGolden(t, "openapi.json", strings.ReplaceAll(indent(t, []byte(a.body)), g.url, "http://gateway")+"\n")
}

// caddyfiles are those in testdata and on the pages, by where they stand.
func caddyfiles(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, b := range documentedCaddyfiles(t) {
		for _, name := range docsVariable.FindAllStringSubmatch(b.text, -1) {
			t.Setenv(name[1], "the-value-of-"+name[1])
		}
		found[fmt.Sprintf("%s:%d", b.file, b.line)] = b.text
	}
	for _, pattern := range []string{"testdata/*/*Caddyfile", "testdata/caddyfile_adapt/*.caddyfiletest"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text, _, _ := strings.Cut(string(data), "\n----------\n")
			found[file] = text + "\n"
		}
	}
	return found
}

func digest(text string) string { return fmt.Sprintf("%.10x", sha256.Sum256([]byte(text))) }

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	if *updateGolden {
		writeGolden(t, name, got)
		return
	}
	want, err := os.ReadFile(filepath.Join("testdata/golden", name))
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s has changed. If that is meant, go test . -run Golden -update-golden\n%s", name, firstDifference(got, string(want)))
	}
}

// firstDifference shows the first line that is not the same.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d\n got %s\nwant %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

func writeGolden(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll("testdata/golden", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata/golden", name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
