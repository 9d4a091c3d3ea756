package registryauth_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	answers "github.com/caddy-registry-auth/caddy-registry-auth/answer"
)

// documentedRow is a row of the table of answers in docs/how-it-works.md.
// What it says of status, code and Retry-After is what the probes get, or what
// the row of the table of answers has where no request can bring it about here.
type documentedRow struct {
	situation, more string
	status          int
	code            answers.Code
	kind            answers.Kind
	probes          []probe
}

type probe struct {
	method, path string
	options      []option
}

func (d documentedRow) String() string {
	text := strconv.Itoa(d.status)
	switch {
	case d.status == 200:
		text += " " + d.more
	case d.kind != "":
		a := d.kind.Of()
		text = fmt.Sprintf("%d `%s`", a.Status, a.Code)
		if a.RetryAfter > 0 {
			text += fmt.Sprintf(", `Retry-After: %.0f`", a.RetryAfter.Seconds())
		}
		if text += ", *" + a.Sentence + "*"; d.more != "" {
			text += "; " + d.more
		}
	default:
		if d.code != "" {
			text += " `" + string(d.code) + "`"
		}
		if d.more != "" {
			text += ", " + d.more
		}
	}
	return "| " + d.situation + " | " + text + " |"
}

// TestDocumentedAnswers runs what the table says, and compares the table with
// what came of it.
func TestDocumentedAnswers(t *testing.T) {
	const realm = standardRealm + `
	project fixed/** {
		developer robot:ci
		immutable v*
	}
	project still/** {
		developer robot:ci
		read_only
	}
`
	g := startGateway(t, realm)
	robot := []option{basic("robot$ci", g.robot)}
	with := func(o ...option) []option { return append(o, robot...) }
	empty := bearer(g.token("repository:other/app:pull", robot...))
	get := func(path string, o ...option) []probe { return []probe{{"GET", path, o}} }
	post := func(o ...option) []probe { return []probe{{"POST", "/v2/team/app/blobs/uploads/", with(o...)}} }
	long := "/v2/team/app/tags/list?last=" + strings.Repeat("a", 17<<10)

	rows := []documentedRow{
		{"`/v2/` without a credential", "Bearer challenge, also where anonymous pull is on: a client that sees 200 here never sends its credentials", 401, answers.CodeUnauthorized, "", get("/v2/")},
		{"`/v2/` with a good credential", "`{}`, from the gateway; the registry is not asked", 200, "", "", get("/v2/", robot...)},
		{"no credential, anonymous may", "of the registry", 200, "", "", get("/v2/public/app/manifests/v1")},
		{"no credential, anonymous may not", "challenge with the scope; whether the repository exists or not", 401, answers.CodeUnauthorized, "", get(manifest)},
		{"credential wrong, disabled, withdrawn or from a wrong network", `challenge with ` + "`" + `error="invalid_token"` + "`", 401, answers.CodeUnauthorized, answers.Invalid, get(manifest, basic("robot$ci", "wrong"))},
		{"credential expired", `challenge with ` + "`" + `error="invalid_token"` + "`", 401, answers.CodeUnauthorized, answers.Expired, nil},
		{"a person's password where `passwords` are `off`", "the same challenge", 401, answers.CodeUnauthorized, answers.PasswordsOff, nil},
		{"registry token, not good for this", "challenge with the scope and `error=\"insufficient_scope\"`", 401, answers.CodeDenied, "", get(manifest, empty)},
		{"other good credential, not granted", "", 403, answers.CodeDenied, "", get("/v2/other/app/manifests/v1", robot...)},
		{"immutable tag", "the message names the rule", 412, answers.CodeDenied, "", []probe{{"PUT", "/v2/fixed/app/manifests/v1", robot}}},
		{"read-only", "", 403, answers.CodeDenied, "", []probe{{"PUT", "/v2/still/app/manifests/v1", robot}}},
		{"a page of another site sends a write", "", 403, answers.CodeDenied, answers.CrossSite, post(header("Origin", "https://elsewhere.example"))},
		{"no repository name", "", 400, answers.CodeNameInvalid, "", get("/v2/Team/app/manifests/v1", robot...)},
		{"no digest", "", 400, answers.CodeDigestInvalid, "", get("/v2/team/app/blobs/sha256:abc", robot...)},
		{"no upload id", "", 400, answers.CodeBlobUploadInvalid, "", []probe{{"PATCH", "/v2/team/app/blobs/uploads/a+b", robot}}},
		{"a tag that cannot exist", "", 404, answers.CodeManifestUnknown, "", get("/v2/team/app/manifests/-v1", robot...)},
		{"the push of such a tag", "", 400, answers.CodeManifestInvalid, "", []probe{{"PUT", "/v2/team/app/manifests/-v1", robot}}},
		{"endpoint unknown, or extension not enabled", "", 404, answers.CodeUnsupported, "", get("/v2/_zot/ext/mgmt", robot...)},
		{"method not possible here", "with `Allow`", 405, answers.CodeUnsupported, "", []probe{{"POST", manifest, robot}}},
		{"form or multipart body", "", 415, answers.CodeUnsupported, "", post(header("Content-Type", "application/x-www-form-urlencoded"))},
		{"query over 16 KiB, over 100 tags", "", 414, answers.CodeUnsupported, "", get(long, robot...)},
		{"`n` of a list is no number", "", 400, "PAGINATION_NUMBER_INVALID", "", get("/v2/team/app/tags/list?n=x", robot...)},
		{"two `Authorization` headers, or one that cannot be read", "", 400, answers.CodeUnauthorized, answers.Malformed, get(manifest, header("Authorization", "Basic !"))},
		{"a write in TLS early data", "", 425, answers.CodeUnsupported, answers.TooEarly, post(header("Early-Data", "1"))},
		{"many failed sign-ins", "the wait grows with each", 429, answers.CodeTooManyRequests, answers.Throttled, nil},
		{"many slow sign-ins at once", "", 429, answers.CodeTooManyRequests, answers.Busy, nil},
		{"the provider cannot be reached", "", 503, answers.CodeUnavailable, answers.Unchecked, nil},
		{"the registry did not say what a decision needs", "", 503, answers.CodeUnavailable, answers.RegistrySilent, nil},
		{"the tag is being pushed", "", 503, answers.CodeUnavailable, answers.TagBusy, nil},
		{"the owner of a new repository cannot be recorded", "", 503, answers.CodeUnavailable, answers.StoreAway, nil},
		{"the store is full", "", 507, answers.CodeUnavailable, answers.StoreFull, nil},
		{"Caddy is starting", "", 503, answers.CodeUnavailable, answers.Starting, nil},
		{"the gateway's login at the registry is to be renewed", "and an error in the log", 503, answers.CodeUnavailable, answers.RegistryToken, nil},
		{"the registry itself asks for a login", "and an error in the log", 502, answers.CodeUnavailable, answers.RegistryLogin, get("/v2/public/locked/manifests/v1")},
		{"the registry cannot be reached", "and an error in the log", 502, answers.CodeUnavailable, answers.RegistryDown, get("/v2/public/app/manifests/down")},
	}
	g.upstream.respond(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/locked/"):
			w.WriteHeader(http.StatusUnauthorized)
		case strings.HasSuffix(r.URL.Path, "/down"):
			panic(http.ErrAbortHandler) // it closes the connection
		default:
			w.Header().Set("Docker-Content-Digest", fakeDigest("v1"))
		}
	})
	var table strings.Builder
	table.WriteString("| situation | answer |\n|---|---|\n")
	for _, row := range rows {
		fmt.Fprintln(&table, row)
		if a := row.kind.Of(); row.kind != "" && (a.Status != row.status || a.Code != row.code) {
			t.Errorf("%s: the table of answers has %d %s", row.situation, a.Status, a.Code)
		}
		for _, p := range row.probes {
			row.try(t, g, p)
		}
	}
	wantsInDocs(t, "docs/how-it-works.md", table.String())
}

func (d documentedRow) try(t *testing.T, g *gateway, p probe) {
	t.Helper()
	a := g.do(p.method, p.path, "", p.options...)
	if a.StatusCode != d.status || a.code() != string(d.code) {
		t.Errorf("%s: %d %s, want %d %s: %s", d.situation, a.StatusCode, a.code(), d.status, d.code, a.body)
	}
	if d.status != http.StatusOK && a.Header.Get("Docker-Distribution-Api-Version") != "registry/2.0" {
		t.Errorf("%s: not the registry's way: %v", d.situation, a.Header)
	}
	wait := ""
	if d.kind != "" {
		row := d.kind.Of()
		if row.RetryAfter > 0 {
			wait = fmt.Sprintf("%.0f", row.RetryAfter.Seconds())
		}
		if !strings.Contains(a.body, strings.TrimSuffix(strconv.Quote(row.Sentence), `"`)[1:]) {
			t.Errorf("%s: want %q: %s", d.situation, row.Sentence, a.body)
		}
	}
	if got := a.Header.Get("Retry-After"); got != wait {
		t.Errorf("%s: Retry-After %q, want %q", d.situation, got, wait)
	}
}

// TestTroubleshootingQuotesAnswers holds what people look for after an error
// to what they are told.
func TestTroubleshootingQuotesAnswers(t *testing.T) {
	for _, kind := range []answers.Kind{
		answers.RegistryDown, answers.RegistryLogin, answers.Invalid, answers.Expired, answers.PasswordsOff, answers.Unchecked,
		answers.Starting, answers.StoreAway, answers.StoreFull, answers.Throttled, answers.Busy,
	} {
		a := kind.Of()
		wantsInDocs(t, "docs/operations.md", fmt.Sprintf("| %d *%s*", a.Status, a.Sentence))
	}
}

// TestDocumentedLimits compares numbers in the documentation with the
// constants that make them true.
func TestDocumentedLimits(t *testing.T) {
	c := constants{t, map[string]map[string]ast.Expr{}}
	number := func(dir, name string) string { return grouped(c.of(dir, name)) }
	span := func(dir, name string) string {
		d := time.Duration(c.of(dir, name))
		switch {
		case d%time.Hour == 0:
			return plural(int64(d/time.Hour), "hour")
		case d%time.Minute == 0:
			return plural(int64(d/time.Minute), "minute")
		}
		return fmt.Sprintf("%d s", d/time.Second)
	}
	size := func(dir, name string) string {
		n := c.of(dir, name)
		if n >= 1<<20 {
			return fmt.Sprintf("%d MiB", n>>20)
		}
		return fmt.Sprintf("%d KiB", n>>10)
	}
	how := "docs/how-it-works.md"
	wantsInDocs(t, how, "| `Authorization` header | "+size("authn", "MaxCredential")+" |")
	wantsInDocs(t, how, "| registry token | "+size("authn", "MaxRegistryToken")+" |")
	wantsInDocs(t, how, "| query; parameters of a token request by GET | "+size("tokenendpoint", "maxQuery")+" |")
	wantsInDocs(t, how, "| form of a token request by POST | "+size("tokenendpoint", "maxForm")+" |")
	wantsInDocs(t, how, "| repository name | "+number("authz", "maxName")+" characters |")
	wantsInDocs(t, how, "| tags in one push | "+number("authz", "maxTags")+" |")
	wantsInDocs(t, how, "| a provider's answer | "+size("authn", "providerBody")+", "+span("authn", "providerTimeout")+" |")
	wantsInDocs(t, how, fmt.Sprintf("| slow password hashes at a time | processors less one; %s wait for each, %s in all, for %s, or %s where the budget of their place is used up |",
		number("authn", "hashQueue"), number("authn", "hashQueueMost"), span("authn", "hashPatience"), span("authn", "hashWait")))
	wantsInDocs(t, how, "| verified passwords remembered | "+number("authn", "verifiedEntries")+", for "+span("authn", "verifiedPositive")+" |")
	remembered := 2 * c.of("authn", "throttleShards") * c.of("authn", "throttlePerShard") / 1024 * 1000
	wantsInDocs(t, how, "| failed sign-ins remembered | about "+grouped(remembered)+" accounts, for "+span("authn", "strikeWindow")+"; told to other gateways: "+number("state", "maxTallies")+" |")
	wantsInDocs(t, how, "| tags looked at for a deletion by digest | "+number("gateway", "maxTagsAsked")+" |")
	wantsInDocs(t, how, "| questions to the registry for one request | "+span("gateway", "askTimeout")+" in all |")

	passwords := "docs/passwords.md"
	wantsInDocs(t, passwords, "has no turn within "+fmt.Sprint(c.of("authn", "hashPatience")/int64(time.Second))+" seconds is answered with 429")
	wantsInDocs(t, passwords, "about "+grouped(remembered)+" accounts under attack are remembered")
	wantsInDocs(t, passwords, "one second to "+span("authn", "throttleMost"))
}

// wantsInDocs compares without regard to where lines are broken, unless it is
// a table that is looked for.
func wantsInDocs(t *testing.T, file, want string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	if !strings.HasPrefix(want, "|") {
		text = strings.Join(strings.Fields(text), " ")
	}
	if !strings.Contains(text, want) {
		t.Errorf("%s does not have, as it is now:\n%s", file, want)
	}
}

// constants reads constants of packages whose numbers are documented.
type constants struct {
	t    *testing.T
	seen map[string]map[string]ast.Expr
}

func (c constants) of(dir, name string) int64 {
	c.t.Helper()
	if c.seen[dir] == nil {
		c.seen[dir] = map[string]ast.Expr{}
		files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				c.t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == len(spec.Names) {
					for i, id := range spec.Names {
						c.seen[dir][id.Name] = spec.Values[i]
					}
				}
				return true
			})
		}
	}
	value, known := c.seen[dir][name]
	if !known {
		c.t.Fatalf("%s has no constant %s any more: say here which one it is now", dir, name)
	}
	return c.value(dir, value)
}

// value computes as much of Go as constants here need.
func (c constants) value(dir string, e ast.Expr) int64 {
	c.t.Helper()
	switch e := e.(type) {
	case *ast.BasicLit:
		n, err := strconv.ParseInt(e.Value, 0, 64)
		if err != nil {
			c.t.Fatal(err)
		}
		return n
	case *ast.Ident:
		return c.of(dir, e.Name)
	case *ast.SelectorExpr:
		if unit := map[string]time.Duration{"Second": time.Second, "Minute": time.Minute, "Hour": time.Hour}[e.Sel.Name]; unit != 0 {
			return int64(unit)
		}
	case *ast.BinaryExpr:
		x, y := c.value(dir, e.X), c.value(dir, e.Y)
		switch e.Op {
		case token.MUL:
			return x * y
		case token.SHL:
			return x << y
		}
	}
	c.t.Fatalf("%s: cannot compute %T", dir, e)
	return 0
}

func plural(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// grouped writes a number as the documentation does: 16,384.
func grouped(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}
