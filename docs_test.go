package registryauth_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestDocumentedCaddyfiles loads every Caddyfile that README.md and docs/ show
// as `caddy validate` does, and wants it formatted as `caddy fmt` does. Only
// what would touch the machine is put in other places.
func TestDocumentedCaddyfiles(t *testing.T) {
	blocks := documentedCaddyfiles(t)
	if len(blocks) < 10 {
		t.Fatalf("found %d Caddyfiles only", len(blocks))
	}
	m := newDocsMachine(t)
	for _, b := range blocks {
		t.Run(fmt.Sprintf("%s:%d", b.file, b.line), func(t *testing.T) {
			if formatted := string(caddyfile.Format([]byte(b.text))); formatted != b.text {
				t.Errorf("%s:%d: not formatted as `caddy fmt` does:\n%s", b.file, b.line, formatted)
			}
			adapted, err := m.adapt(b)
			if err != nil {
				t.Fatalf("%s:%d: adapting: %v", b.file, b.line, err)
			}
			var config caddy.Config
			if err := json.Unmarshal(adapted, &config); err != nil {
				t.Fatal(err)
			}
			if err := caddy.Validate(&config); err != nil {
				t.Errorf("%s:%d: loading: %v", b.file, b.line, err)
			}
		})
	}
}

// docsBlock is a Caddyfile that a page shows. Its line is that of the first
// line of the text.
type docsBlock struct {
	file    string
	line    int
	heading string // the last one before it
	text    string
	after   []string // the page's lines behind it, to the next heading
}

// docsPages are the pages for users, by path.
func docsPages(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string][]string{}
	for _, file := range append(files, "README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pages[filepath.ToSlash(file)] = strings.Split(string(data), "\n")
	}
	return pages
}

func documentedCaddyfiles(t *testing.T) []docsBlock {
	t.Helper()
	var blocks []docsBlock
	for file, lines := range docsPages(t) {
		heading := ""
		for i := 0; i < len(lines); i++ {
			if strings.HasPrefix(lines[i], "#") {
				heading = lines[i]
			}
			if lines[i] != "```caddyfile" {
				continue
			}
			end := slices.Index(lines[i:], "```")
			if end < 0 {
				t.Fatalf("%s:%d: block without an end", file, i+1)
			}
			b := docsBlock{file: file, line: i + 2, heading: heading, text: strings.Join(lines[i+1:i+end], "\n") + "\n"}
			i += end
			b.after = lines[i+1:]
			if next := slices.IndexFunc(b.after, func(l string) bool { return strings.HasPrefix(l, "#") }); next >= 0 {
				b.after = b.after[:next]
			}
			blocks = append(blocks, b)
		}
	}
	return blocks
}

// docsMachine stands for the machine that the examples were written for.
type docsMachine struct {
	dir    string
	secret map[string]string // by the name of the variable or file
}

// newDocsMachine keeps Caddy's own folders out of the test, too.
func newDocsMachine(t *testing.T) *docsMachine {
	t.Helper()
	m := &docsMachine{dir: t.TempDir(), secret: map[string]string{}}
	for _, name := range []string{"XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOME"} {
		t.Setenv(name, m.dir)
	}
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	for _, b := range documentedCaddyfiles(t) {
		for _, name := range docsVariable.FindAllStringSubmatch(b.text, -1) {
			t.Setenv(name[1], m.value(name[1]))
		}
	}
	return m
}

var (
	docsVariable  = regexp.MustCompile(`\{(?:env\.|\$)(\w+)\}`)
	docsFile      = regexp.MustCompile(`\{file\.(/[\w./-]+)\}`)
	docsAuthority = regexp.MustCompile(`/etc/ssl/[\w./-]+\.pem`)
	docsPublic    = regexp.MustCompile(`/etc/caddy/[\w./-]+\.pub`)
	docsUsers     = regexp.MustCompile(`/etc/caddy/[\w./-]+\.htpasswd`)
	docsGroups    = regexp.MustCompile(`/etc/caddy/[\w./-]+\.groups`)
	docsFolder    = regexp.MustCompile(`/(?:var/log|shared|srv)/[\w./-]+`)
)

// value makes up a secret, or what is stored of one, as the name says.
func (m *docsMachine) value(name string) string {
	name = strings.ToLower(filepath.Base(name))
	if m.secret[name] == "" {
		m.secret[name] = "not-a-secret-but-as-long-as-one-has-to-be-" + name
		if strings.Contains(name, "dsn") {
			m.secret[name] = "postgres://registry_auth@127.0.0.1:1/registry_auth"
		}
		if strings.Contains(name, "hash") {
			_, m.secret[name] = authn.NewSecret(authn.SecretRobot)
		}
		if strings.Contains(name, "password_hash") {
			m.secret[name] = docsPasswordHash
		}
		if strings.Contains(name, "public_key") {
			m.secret[name] = docsPublicKey
		}
	}
	return m.secret[name]
}

// adapt makes JSON of a block. Errors name the line of the page, since the
// lines before the block are there, empty.
func (m *docsMachine) adapt(b docsBlock) ([]byte, error) {
	text := docsFile.ReplaceAllStringFunc(b.text, func(placeholder string) string {
		name := docsFile.FindStringSubmatch(placeholder)[1]
		return "{file." + m.file(filepath.Base(name), m.value(name)) + "}"
	})
	text = docsAuthority.ReplaceAllStringFunc(text, func(name string) string {
		return m.file(filepath.Base(name), docsCertificate)
	})
	text = docsPublic.ReplaceAllStringFunc(text, func(name string) string {
		return m.file(filepath.Base(name), docsPublicKey)
	})
	text = docsUsers.ReplaceAllStringFunc(text, func(name string) string {
		return m.file(filepath.Base(name), "alice:"+docsPasswordHash+"\n")
	})
	text = docsGroups.ReplaceAllStringFunc(text, func(name string) string {
		return m.file(filepath.Base(name), "team-a: alice\n")
	})
	text = docsFolder.ReplaceAllStringFunc(text, func(name string) string { return m.dir + name })

	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(
		[]byte(strings.Repeat("\n", b.line-1)+text), map[string]any{"filename": b.file})
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "formatted") {
			return nil, fmt.Errorf("warning: %v", w)
		}
	}
	return m.settle(adapted)
}

func (m *docsMachine) file(name, content string) string {
	path := filepath.Join(m.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		panic(err) // a temporary folder of our own
	}
	return path
}

// settle gives the sites ports of this machine, without TLS, and switches Caddy's admin endpoint and its storage in the user's folder off.
func (m *docsMachine) settle(adapted []byte) ([]byte, error) {
	var config map[string]any
	if err := json.Unmarshal(adapted, &config); err != nil {
		return nil, err
	}
	config["admin"] = map[string]any{"disabled": true}
	config["storage"] = map[string]any{"module": "file_system", "root": filepath.Join(m.dir, "storage")}
	if config["logging"] == nil {
		config["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{"level": "ERROR"}}}
	}
	apps, _ := config["apps"].(map[string]any)
	if apps["registry_auth"] == nil {
		apps["registry_auth"] = map[string]any{}
	}
	own, _ := apps["registry_auth"].(map[string]any)
	own["store"] = map[string]any{"type": "bolt", "path": filepath.Join(m.dir, "state.db")}
	http, _ := apps["http"].(map[string]any)
	servers, _ := http["servers"].(map[string]any)
	port := 0
	for _, s := range servers {
		server := s.(map[string]any)
		port++ // nobody listens: two servers must not have the same address
		server["listen"] = []string{fmt.Sprintf("127.0.0.1:%d", port)}
		server["automatic_https"] = map[string]any{"disable": true}
		keepClientAuth(server)
	}
	delete(apps, "tls")
	return json.Marshal(config)
}

// docsPasswordHash is the example of bcrypt's documentation.
const docsPasswordHash = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"

// keepClientAuth leaves of a server's TLS what it asks of clients: the
// certificates of the sites are on the machine that the example is for.
func keepClientAuth(server map[string]any) {
	policies, _ := server["tls_connection_policies"].([]any)
	var kept []any
	for _, p := range policies {
		if auth := p.(map[string]any)["client_authentication"]; auth != nil {
			kept = append(kept, map[string]any{"client_authentication": auth})
		}
	}
	delete(server, "tls_connection_policies")
	if kept != nil {
		server["tls_connection_policies"] = kept
	}
}

// docsPublicKey is the public key of an example in RFC 8410.
const docsPublicKey = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
`

// docsCertificate is a certificate authority as examples name one. Nobody has
// its key.
const docsCertificate = `-----BEGIN CERTIFICATE-----
MIIBbDCCARGgAwIBAgIBATAKBggqhkjOPQQDAjAcMRowGAYDVQQDExFleGFtcGxl
IGF1dGhvcml0eTAgFw0yNjAxMDEwMDAwMDBaGA8yMTI2MDEwMTAwMDAwMFowHDEa
MBgGA1UEAxMRZXhhbXBsZSBhdXRob3JpdHkwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAATM/bVe0Ls6QKK7Jf4jRBDeoWmFSv9APx4EluRBsDDg88ELjI/s562A2fqT
dj5c9XTLMDGv1DlnIRtqC0/NA8YBo0IwQDAOBgNVHQ8BAf8EBAMCAgQwDwYDVR0T
AQH/BAUwAwEB/zAdBgNVHQ4EFgQUtBi+kLZxLFooenqHWRy0u7LReJEwCgYIKoZI
zj0EAwIDSQAwRgIhALCpp5BaXxsBhsmhTN744E3yxfXio7HEf+5DKu8qybSgAiEA
yqHCmvxTmSwIpddDunbuCgMdb1Iw7a4hWO6b/XOnluE=
-----END CERTIFICATE-----
`
