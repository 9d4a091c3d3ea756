package clients

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// machines are a gateway behind TLS that asks for client certificates, in
// front of a registry, with a cluster and a service that it asks, and a proxy
// before it that signs people in.
type machines struct {
	*authority

	addr, proxy string // of the gateway and of the proxy before it
	outer       string // of the gateway, by an address that is not loopback
	direct      *upstream.Client
	gateway     *gateway.Gateway
	cluster     *cluster
	service     *identityService
}

const (
	scannerSecret = "the-scanner's-secret-0123456789-abcdef"
	clusterToken  = "the-gateway's-own-token"

	// At the proxy, alice has the password of the robot longpw.
	aliceHash = "$2a$10$Yg72T1/I4y0DPXcgLdQ7N.yBzSxv6XFvk0CgDpn5wDfNAhDW57ide"
)

func startMachines(t *testing.T) *machines {
	t.Helper()
	process.Need(t, upstream.Distribution2.Program, "curl")
	m := &machines{authority: newAuthority(t), cluster: startCluster(t), service: startIdentityService(t)}
	registry, err := upstream.Start(t.Context(), upstream.Distribution2, t.TempDir(), upstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registry.Stop() })
	m.direct = &upstream.Client{URL: registry.URL}
	for _, repository := range []string{"team/app", "corp/app", "other/app"} {
		image, err := upstream.NewImage(contentFile, []byte(repository))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.direct.Push(t.Context(), repository, "x", image); err != nil {
			t.Fatal(err)
		}
	}
	server := m.issue("server", func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.ParseIP(outerAddress(t))}
	})
	proxy := m.issue("proxy", func(c *x509.Certificate) { c.DNSNames = []string{"proxy.test"} })
	m.issue("client", func(c *x509.Certificate) {
		c.URIs = []*url.URL{{Scheme: "spiffe", Host: "corp.test", Path: "/sa/builder"}}
	})
	m.issue("stranger", func(c *x509.Certificate) {
		c.URIs = []*url.URL{{Scheme: "spiffe", Host: "elsewhere.test", Path: "/sa/builder"}}
	})
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte(clusterToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var ports [4]int
	for i := range ports {
		if ports[i], err = process.FreePort(); err != nil {
			t.Fatal(err)
		}
	}
	m.addr, m.proxy = fmt.Sprintf("localhost:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	host := outerAddress(t)
	m.outer = fmt.Sprintf("%s:%d", host, ports[3])
	replace := strings.NewReplacer(
		"SERVER_TLS", server, "PROXY_TLS", proxy,
		"ADDR", m.addr, "PROXY", m.proxy, "OUTER_PORT", fmt.Sprint(ports[3]), "READY", fmt.Sprintf("127.0.0.1:%d", ports[2]),
		"HOST", host, "CA_FILE", m.file("ca"), "TOKEN_FILE", tokenFile,
		"CLUSTER", m.cluster.URL, "IDENTITY", m.service.URL, "REGISTRY", registry.URL)
	m.gateway, err = gateway.Start(t.Context(), gateway.Config{
		Global:   fmt.Sprintf(machineOptions, m.outer),
		Sites:    replace.Replace(machineSites),
		Env:      []string{"SCANNER_SECRET=" + scannerSecret, "SERVICE_KEY=" + serviceKey, "ALICE_HASH=" + aliceHash},
		ReadyURL: "http://" + fmt.Sprintf("127.0.0.1:%d", ports[2]),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, fault := range m.gateway.Log.Faults(0) {
			t.Error("gateway log:", fault)
		}
		m.gateway.Stop()
	})
	return m
}

// machineOptions let large requests through to the gateway's own limits, and
// an address be the name of a site: there is no SNI to compare with the Host.
const machineOptions = `	auto_https off
	servers {
		max_header_size 4MiB
	}
	servers %s {
		strict_sni_host insecure_off
		max_header_size 4MiB
	}`

// outerAddress is one of this machine that is not loopback: for what is, docker
// does not look for certificates.
func outerAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	t.Fatal("this machine has loopback addresses only")
	return ""
}

// machineSites are the gateway, a proxy that signs people in by HTTP Basic and
// tells the gateway who they are, and a page that says that both are there.
const machineSites = `
(registry) {
	tls SERVER_TLS {
		client_auth {
			mode verify_if_given
			trust_pool file CA_FILE
		}
	}
	registry_auth {
		public_url https://ADDR
		trusted_headers {
			user X-Auth-User
			groups X-Auth-Groups
			client_certificate dns proxy.test
		}
		mtls {
			identity spiffe spiffe://corp.test/sa/* sa-$1
		}
		service_secret scanner {
			secret {env.SCANNER_SECRET}
			from 127.0.0.1 ::1
			allow pull
			repositories **
		}
		token_review CLUSTER {
			audience registry.test
			token_file TOKEN_FILE
			cache_ttl 1s
			timeout 1s
		}
		external IDENTITY {
			header X-Service-Key {env.SERVICE_KEY}
			prefix ext-
			cache_ttl 1s
			timeout 1s
		}
		project team/** {
			developer workload:sa-builder workload:ci/builder
			developer user:ext-carol
		}
		project corp/** {
			developer group:staff
		}
	}
	reverse_proxy REGISTRY
}

https://ADDR {
	import registry
}

https://:OUTER_PORT {
	bind HOST
	import registry
}

http://PROXY {
	basic_auth {
		alice {env.ALICE_HASH}
	}
	reverse_proxy https://ADDR {
		header_up -Authorization
		header_up Host ADDR
		header_up X-Auth-User {http.auth.user.id}
		header_up X-Auth-Groups staff
		transport http {
			tls_server_name localhost
			tls_client_auth PROXY_TLS
			tls_trust_pool file CA_FILE
		}
	}
}

http://READY {
	respond ready
}
`

// authority issues the certificates of the scene and keeps them as files.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.issue("ca", func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
	})
	return a
}

// file is the path of a certificate, key that of its key.
func (a *authority) file(name string) string { return filepath.Join(a.dir, name+".cert") }

func (a *authority) keyFile(name string) string {
	return filepath.Join(a.dir, name+".key")
}

// adopt has a certificate of another authority, by a name of its own.
func (a *authority) adopt(other *authority, name, as string) {
	a.t.Helper()
	for from, to := range map[string]string{other.file(name): a.file(as), other.keyFile(name): a.keyFile(as)} {
		if err := os.WriteFile(to, mustRead(a.t, from), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
}

// issue makes a certificate and returns the paths of it and its key. The
// first one is the authority's own.
func (a *authority) issue(name string, change func(*x509.Certificate)) string {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	change(c)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	if a.cert == nil {
		a.key = key
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			a.t.Fatal(err)
		}
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		a.file(name): {Type: "CERTIFICATE", Bytes: der}, a.keyFile(name): {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return a.file(name) + " " + a.keyFile(name)
}
