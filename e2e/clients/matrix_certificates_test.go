package clients

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// machine makes a certificate that of a machine.
func machine(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = []string{name + ".machines.test"} }
}

// secure gives a row an address of its own behind TLS.
func (m *matrix) secure(r *row) *row {
	if m.terms["%SERVER_TLS%"] == "" {
		m.terms["%SERVER_TLS%"] = m.certs.issue("server", func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
		})
		m.terms["%CA_FILE%"] = m.certs.file("ca")
	}
	r.tls, r.url = true, fmt.Sprintf("https://localhost:%d", m.port())
	return r
}

func (m *matrix) mtls() *row {
	r := m.secure(&row{name: "mtls", client: "skopeo", known: visitor{cert: "builder"}})
	r.block = "mtls {\nidentity dns *.machines.test $1\n}"
	m.certs.issue("builder", machine("builder"))
	m.certs.issue("stranger", func(c *x509.Certificate) { c.DNSNames = []string{"builder.elsewhere.test"} })
	m.certs.issue("over", func(c *x509.Certificate) {
		machine("builder")(c)
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	})
	m.certs.issue("huge", func(c *x509.Certificate) {
		machine("builder")(c)
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Value: []byte(megabyte)}}
	})
	r.turns = map[failure]func(*testing.T) turn{
		wrongSecret: func(*testing.T) turn {
			return turn{shown: []visitor{{cert: "stranger"}, {}, {cert: "builder", user: "robot-ci", secret: "wrong"}}, welcome: []visitor{r.known}}
		},
		accountGone: func(*testing.T) turn { return turn{shown: []visitor{{cert: "over"}}, welcome: []visitor{r.known}} },
		hugeInput:   func(*testing.T) turn { return turn{shown: []visitor{{cert: "huge"}}, welcome: []visitor{r.known}} },
		rotation: func(t *testing.T) turn {
			m.certs.issue("builder", machine("builder")) // renewed
			r.enter(t, r.known)
			next := newAuthority(t)
			next.issue("builder", machine("builder"))
			m.certs.adopt(next, "builder", "next-builder")
			m.reload(t, map[string]string{"%CA_FILE%": next.file("ca")})
			return turn{
				shown: []visitor{r.known}, welcome: []visitor{{cert: "next-builder"}},
				repair: func() { m.reload(t, map[string]string{"%CA_FILE%": m.certs.file("ca")}) }, after: []visitor{r.known},
			}
		},
	}
	return r
}

func (m *matrix) trustedHeaders() *row {
	r := m.secure(&row{name: "trusted_headers", client: "skopeo"})
	r.block = "trusted_headers {\nuser X-Auth-User\ngroups X-Auth-Groups\nclient_certificate dns proxy.test\n}"
	const named = "X-Auth-User: alice"
	proxy := func(c *x509.Certificate) { c.DNSNames = []string{"proxy.test"} }
	m.terms["%PROXY_TLS%"] = m.certs.issue("proxy", proxy)
	at := fmt.Sprintf("http://127.0.0.1:%d", m.port())
	alice := visitor{user: "alice", secret: "in case of fire", at: at}
	r.known = alice
	name, hash := cheapHash(m.t, alice)
	m.terms["%PROXY_USERS%"] = name + " " + hash
	m.tail = strings.NewReplacer("PROXY_ADDRESS", at, "GATEWAY", r.url, "HOST_OF_IT", r.url[len("https://"):]).Replace(matrixProxy)
	r.turns = map[failure]func(*testing.T) turn{
		wrongSecret: func(*testing.T) turn {
			return turn{shown: []visitor{
				{user: "alice", secret: "wrong", at: at},
				{headers: []string{named}},
				{headers: []string{named}, cert: "server"},
				{headers: []string{named, named}, cert: "proxy"},
			}, welcome: []visitor{
				alice,
				{headers: []string{named}, cert: "proxy"},
				{headers: []string{named, "X_Auth_User: two\tnames"}, cert: "proxy"}, // Caddy drops that
			}}
		},
		accountGone: func(t *testing.T) turn {
			m.reload(t, map[string]string{"%PROXY_USERS%": name + " " + hash[:len(hash)-4] + "...."})
			return turn{
				shown:  []visitor{alice},
				repair: func() { m.reload(t, map[string]string{"%PROXY_USERS%": name + " " + hash}) }, after: []visitor{alice},
			}
		},
		hugeInput: func(*testing.T) turn {
			return turn{shorter: &visitor{headers: []string{"X-Auth-User: " + megabyte[:60_000]}, cert: "proxy"}, shown: []visitor{
				{headers: []string{"X-Auth-User: " + megabyte}, cert: "proxy"},
				{headers: []string{named, "X-Auth-Groups: " + strings.Repeat("group,", 200_000)}, cert: "proxy"},
			}, welcome: []visitor{alice}}
		},
		rotation: func(t *testing.T) turn {
			m.certs.issue("next-proxy", proxy)
			m.certs.issue("former-proxy", func(c *x509.Certificate) { c.DNSNames = []string{"former-proxy.test"} })
			return turn{
				shown:   []visitor{{headers: []string{named}, cert: "former-proxy"}},
				welcome: []visitor{{headers: []string{named}, cert: "next-proxy"}, alice},
			}
		},
	}
	return r
}

// cheapHash is a line of an htpasswd file. Its hash costs the proxy nothing.
func cheapHash(t *testing.T, v visitor) (name, hash string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "htpasswd", "-nbBC", "4", v.user, v.secret).Output()
	if err != nil {
		t.Fatal(err)
	}
	name, hash, _ = strings.Cut(strings.TrimSpace(string(out)), ":")
	return name, hash
}

// matrixProxy signs people in by HTTP Basic and tells the gateway who they are.
const matrixProxy = `
PROXY_ADDRESS {
	bind 127.0.0.1
	basic_auth {
		%PROXY_USERS%
	}
	reverse_proxy GATEWAY {
		header_up -Authorization
		header_up Host HOST_OF_IT
		header_up X-Auth-User {http.auth.user.id}
		transport http {
			tls_server_name localhost
			tls_client_auth %PROXY_TLS%
			tls_trust_pool file %CA_FILE%
		}
	}
}
`
