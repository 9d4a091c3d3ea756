package registryauth_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/handlers"
	"github.com/caddy-registry-auth/caddy-registry-auth/methods"
	"github.com/caddy-registry-auth/caddy-registry-auth/realm"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/stores"
)

// TestReferenceHasEveryDirective wants each word that the Caddyfile's grammar
// knows in docs/reference.md, as code: it reads them from the parser itself.
func TestReferenceHasEveryDirective(t *testing.T) {
	var files []string
	for _, dir := range []string{"caddyfile", "methods", "stores"} {
		found, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	words := map[string]bool{}
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			for _, word := range comparedWords(t, file) {
				words[word] = true
			}
		}
	}
	if len(words) < 50 {
		t.Fatalf("the parser compares %d words only", len(words))
	}
	wantDocumented(t, "docs/reference.md", words)
}

// comparedWords are the strings that a file's code compares something with, or
// has as names of options.
func comparedWords(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	add := func(e ast.Expr) {
		if literal, ok := e.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if word, err := strconv.Unquote(literal.Value); err == nil && word != "" {
				words = append(words, word)
			}
		}
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CaseClause:
			for _, e := range n.List {
				add(e)
			}
		case *ast.CompositeLit:
			if !strings.HasSuffix(typeName(n.Type), "Options") {
				break
			}
			for _, e := range n.Elts {
				if pair, ok := e.(*ast.KeyValueExpr); ok {
					add(pair.Key)
				}
			}
		case *ast.BinaryExpr:
			if n.Op == token.EQL {
				add(n.X)
				add(n.Y)
			}
		}
		return true
	})
	return words
}

// typeName is what a composite literal is a value of.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// TestReferenceHasEveryField wants each JSON field in docs/reference.md.
func TestReferenceHasEveryField(t *testing.T) {
	fields := map[string]bool{}
	for _, v := range []any{
		caddyfile.Config{},
		authn.RobotConfig{},
		realm.App{},
		handlers.TokenHandler{},
		handlers.Provider{},
		handlers.Matcher{},
		stores.Bolt{},
		stores.Postgres{},
		methods.OIDC{},
		methods.Robots{},
		methods.Htpasswd{},
		methods.Local{},
		methods.LDAP{},
		methods.BasicExchange{},
		methods.MTLS{},
		methods.TrustedHeaders{},
		methods.TokenReview{},
		methods.External{},
		methods.ServiceSecrets{},
	} {
		jsonFields(reflect.TypeOf(v), fields)
	}
	if len(fields) < 50 {
		t.Fatalf("%d fields only", len(fields))
	}
	wantDocumented(t, "docs/reference.md", fields)
}

func jsonFields(t reflect.Type, fields map[string]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" {
			fields[name] = true
		}
		if name != "" || f.Anonymous {
			jsonFields(f.Type, fields)
		}
	}
}

// TestReferenceHasEveryPlaceholder reads the placeholders from the code that
// answers them.
func TestReferenceHasEveryPlaceholder(t *testing.T) {
	names := map[string]bool{}
	for _, word := range comparedWords(t, "gateway/placeholder.go") {
		if !strings.Contains(word, ".") {
			word = "http.auth.user." + word
		}
		names["{"+word+"}"] = true
	}
	if len(names) < 8 {
		t.Fatalf("%d placeholders only", len(names))
	}
	wantDocumented(t, "docs/reference.md", names)
}

// TestOperationsHasEveryMetric wants the metrics, the audit log's fields and
// its outcomes in docs/operations.md.
func TestOperationsHasEveryMetric(t *testing.T) {
	names := map[string]bool{}
	for file, metric := range map[string]string{
		"gateway/metrics.go": `Name: "(\w+)"`, "realm/metrics.go": `(?:Name: |describe\()"(\w+)"`, "methods/htpasswd.go": `Name: +"(\w+)"`,
	} {
		for _, name := range wordsIn(t, file, metric) {
			names["caddy_registry_auth_"+name] = true
		}
	}
	outcomes := wordsIn(t, "gateway/outcome.go", `outcomeNames = \[outcomes\]string\{(.*)\}`)
	for _, o := range strings.Split(strings.Join(outcomes, ""), ", ") {
		names[strings.Trim(o, `"`)] = true
	}
	for _, o := range state.LivenessOutcomes {
		names[string(o)] = true
	}
	for _, field := range wordsIn(t, "gateway/record.go", `zap\.\w+\("(\w+)"`) {
		names[field] = true
	}
	if len(names) < 45 {
		t.Fatalf("%d names only", len(names))
	}
	wantDocumented(t, "docs/operations.md", names)
}

// wordsIn are what a pattern's group matches in a file.
func wordsIn(t *testing.T, file, pattern string) []string {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(source), -1) {
		words = append(words, match[1])
	}
	if len(words) == 0 {
		t.Fatalf("%s has no %s", file, pattern)
	}
	return words
}

// wantDocumented wants every word somewhere in backticks.
func wantDocumented(t *testing.T, file string, words map[string]bool) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		for _, code := range codeWords(line) {
			have[code] = true
			for _, word := range strings.Fields(code) {
				have[word] = true
			}
		}
	}
	for word := range words {
		if !have[word] {
			t.Errorf("%s does not have `%s`", file, word)
		}
	}
}
