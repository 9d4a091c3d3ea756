package faults

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// provider is an identity provider with a certificate, at the end of a line.
type provider struct {
	*idp.Hostile
	other   *idp.Hostile // signs for it with keys that it does not publish
	line    *line
	pool    string // file with who signed its certificate
	expired atomic.Bool
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	good, over, pool := certificates(t)
	p := &provider{pool: pool}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if p.expired.Load() {
				return over, nil
			}
			return good, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.line = newLine(t, l.Addr().String())
	if p.Hostile, err = idp.StartHostileOn(l, "https://"+p.line.Addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if p.other, err = idp.StartHostileOn(closed{}, p.Issuer); err != nil {
		t.Fatal(err)
	}
	return p
}

// lines are those of a realm whose people it knows.
func (p *provider) lines() string {
	return fmt.Sprintf(`public_url %%URL%%
		oidc %s %s {
			client_secret {env.CLIENT_SECRET}
			username preferred_username
			groups groups
			jwks_max_age 2s
			trust_pool file %s
		}`, p.Issuer, stage.Client, p.pool)
}

// withSecret is what its lines have placeholders for.
const withSecret = "CLIENT_SECRET=" + idp.ClientSecret

// token is an ID token of alice, another one each time.
func (p *provider) token() string {
	token, err := p.Sign(p.Claims("alice", stage.Client, "staff").With("jti", rand.Text()))
	if err != nil {
		panic(err) // with a key of its own making
	}
	return token
}

// strange is one of a key that the provider does not publish.
func (p *provider) strange(t tester) string {
	key := *p.other.Key()
	key.ID = rand.Text()
	p.other.Publish(&key)
	token, err := p.other.Sign(p.Claims("alice", stage.Client, "staff"))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// certificates are a good one and one that is over, for 127.0.0.1, and a file
// with who signed both.
func certificates(t *testing.T) (good, over *tls.Certificate, pool string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of the faults"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	must(err)
	pool = filepath.Join(t.TempDir(), "ca.pem")
	must(os.WriteFile(pool, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), 0o600))
	certificate := func(serial int64, until time.Time) *tls.Certificate {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(serial), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}, ca, key.Public(), caKey)
		must(err)
		return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
	}
	return certificate(2, time.Now().Add(24*time.Hour)), certificate(3, time.Now().Add(-time.Hour)), pool
}

// TestProvider takes the identity provider away, and makes it a bad one. People
// whose keys are known go on; robots and tokens have nothing to do with it.
func TestProvider(t *testing.T) {
	r := newRegistry(t)
	rounds(t, func(t *testing.T) {
		p := newProvider(t)
		n := configure(t, r, "", p.lines(), withSecret)
		p.line.cut(nil)
		n.start(t)
		u := newUsers(t, "the identity provider", r, p.token, n)
		time.Sleep(lasts(time.Second)) // people wait, as they may from the start of the fault on
		signIn(&check{T: t}, n)
		suffer(t, u, fault{name: "provider down at start", end: p.line.mend, refuses: map[kind][]int{people: {503}}, felt: true, within: 8 * time.Second})
		for _, f := range []fault{
			{name: "provider down", begin: p.line.cut, end: p.line.mend},
			{name: "provider silent", begin: p.line.sleep, end: p.line.wake},
			{name: "provider slow", begin: answers(p, func(http.ResponseWriter, *http.Request) bool {
				time.Sleep(time.Second)
				return false
			})},
			{name: "provider answers garbage", begin: answers(p, garbage())},
			{name: "provider has 100 MB of keys", begin: answers(p, hundredMegabytes)},
			{name: "provider's certificate expired", begin: func(c *check) {
				p.expired.Store(true)
				p.line.cut(c) // what is connected is not asked for certificates
				p.line.mend(c)
			}, end: func(c *check) {
				p.expired.Store(false)
				p.line.cut(c)
				p.line.mend(c)
			}},
		} {
			if f.end == nil {
				f.end = answers(p, nil)
			}
			f.within = 8 * time.Second
			f.during = func(c *check) {
				if f.name != "provider slow" { // which says that there is no such key
					p.newKey(c, n)
				}
				signIn(c, n)
				time.Sleep(lasts(5 * time.Second / 2)) // until keys of before are too old
			}
			suffer(t, u, f)
		}
		eventually(t, 40*time.Second, "the gateway asks again", func() bool {
			return n.send("GET", manifest, "Bearer "+p.strange(t), "").status == http.StatusUnauthorized
		})
		suffer(t, u, fault{name: "2,000 unknown keys", during: func(c *check) { p.unknownKeys(c, n) }, within: time.Second})
	})
}

func answers(p *provider, fault func(http.ResponseWriter, *http.Request) bool) func(*check) {
	return func(*check) { p.Break(fault) }
}

// garbage is another kind of it each time.
func garbage() func(http.ResponseWriter, *http.Request) bool {
	var count atomic.Int64
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		switch count.Add(1) % 5 {
		case 0:
			_, _ = w.Write([]byte(`{"keys":[{"kty":"RSA","n":"`)) // cut off
		case 1:
			_, _ = w.Write([]byte("<html>Please log in to the guest network</html>"))
		case 2:
			w.WriteHeader(http.StatusInternalServerError)
		case 3:
			_, _ = w.Write([]byte(`{"keys":[]}`))
		case 4:
			_, _ = w.Write([]byte(`{"issuer":"https://somebody-else.test","jwks_uri":"https://somebody-else.test/jwks","keys":[{"kty":"RSA"},null,7]}`))
		}
		return true
	}
}

// hundredMegabytes answers every question with so many keys.
func hundredMegabytes(w http.ResponseWriter, _ *http.Request) bool {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"keys":[`))
	part := []byte(strings.Repeat(`{"kty":"RSA","n":"`+strings.Repeat("A", 340)+`","e":"AQAB"},`, 2800))
	for range 100 {
		if _, err := w.Write(part); err != nil {
			break
		}
	}
	return true
}

// newKey wants a person who shows a token of a key that the gateway cannot
// know yet to be told to wait, not that the token is wrong: it cannot ask.
func (p *provider) newKey(c *check, n *node) {
	eventually(c, 12*time.Second, "a token of a new key is told to wait", func() bool {
		a := n.send("GET", manifest, "Bearer "+p.strange(c), "")
		return a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != ""
	})
}

// signIn wants the browser to be sent on, or told to wait, soon.
func signIn(c *check, n *node) {
	begin := time.Now()
	a := n.send("GET", "/auth/sign-in?return_to=/auth/", "", "", "Accept: text/html", "Sec-Fetch-Mode: navigate")
	if took := time.Since(begin); took > slack(6*time.Second) {
		c.Errorf("a sign-in is answered after %s", took)
	}
	switch a.status {
	case http.StatusFound, http.StatusSeeOther:
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		if a.header.Get("Retry-After") == "" {
			c.Errorf("a sign-in: %d without Retry-After", a.status)
		}
	default:
		c.Errorf("a sign-in: %d %s %v", a.status, a.body, a.err)
	}
}

// unknownKeys shows thousands of tokens, each of another unknown key.
func (p *provider) unknownKeys(c *check, n *node) {
	before, begin := p.Hits()["/jwks"], time.Now()
	var all sync.WaitGroup
	places := make(chan struct{}, 16)
	for range 2000 {
		token := p.strange(c)
		places <- struct{}{}
		all.Go(func() {
			if a := n.send("GET", manifest, "Bearer "+token, ""); a.status != http.StatusUnauthorized {
				c.Errorf("a token of an unknown key: %d %s %v", a.status, a.body, a.err)
			}
			<-places
		})
	}
	all.Wait()
	// The keys are fetched again each two seconds as they are, and once because
	// of them.
	if asked, most := p.Hits()["/jwks"]-before, 3+int(time.Since(begin)/time.Second); asked > most {
		c.Errorf("the provider was asked %d times for its keys, want at most %d", asked, most)
	}
}

// closed is a listener that nobody reaches.
type closed struct{}

func (closed) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (closed) Close() error              { return nil }
func (closed) Addr() net.Addr            { return &net.TCPAddr{} }
