package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/loopback"
)

// maxAnswer bounds what a registry or a token service may answer, in bytes.
// Tokens of some clouds are longer than 4 KiB.
const maxAnswer = 1 << 20

// errPrivate: a name that the registry chose leads to where only we can go.
var errPrivate = errors.New("the address is private, and the registry, not the configuration, has named it")

// clients are how the registry and its token service are reached. Redirects
// are not followed: they would carry the credential to where nobody has
// configured it.
type clients struct {
	registry *http.Client
	// elsewhere does not connect to private addresses.
	elsewhere *http.Client
}

func newClients(transport *http.Transport) clients {
	if transport == nil {
		transport = http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one
	}
	guarded := transport.Clone()
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: publicOnly}
	direct := &net.Dialer{Timeout: 10 * time.Second}
	guarded.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if ctx.Value(byProxyKey{}) != nil {
			return direct.DialContext(ctx, network, address) // the proxy's address
		}
		return dialer.DialContext(ctx, network, address)
	}
	return clients{registry: noRedirects(transport), elsewhere: noRedirects(guarded)}
}

type byProxyKey struct{}

func noRedirects(t *http.Transport) *http.Client {
	return &http.Client{
		Transport: t, Timeout: fetchTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// publicOnly refuses connections to addresses that are not everybody's.
func publicOnly(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", errPrivate, address)
	}
	if ip := a.Addr().Unmap(); !ip.IsGlobalUnicast() || ip.IsPrivate() || sharedSpace.Contains(ip) {
		return fmt.Errorf("%w: %s", errPrivate, ip)
	}
	return nil
}

// sharedSpace is RFC 6598: addresses of carriers and clouds.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// reply is what a registry or a token service has answered.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// send asks, and reads the answer.
func send(client *http.Client, r *http.Request) (reply, error) {
	if t, ok := client.Transport.(*http.Transport); ok && t.Proxy != nil {
		if proxy, err := t.Proxy(r); err == nil && proxy != nil {
			r = r.WithContext(context.WithValue(r.Context(), byProxyKey{}, true))
		}
	}
	resp, err := client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	return reply{resp.StatusCode, resp.Header, body}, err
}

// checkRealm returns an error if a token service must not see the credential:
// it is reached over TLS, or on this machine like the registry itself.
func checkRealm(realm string, registry *url.URL) (*url.URL, error) {
	u, err := url.Parse(realm)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || u.User != nil || u.Fragment != "":
		return nil, fmt.Errorf("the realm %.200q is not an absolute URL", realm)
	case u.Scheme == "https":
		return u, nil
	case u.Scheme == "http" && loopback.Is(u.Hostname()) && loopback.Is(registry.Hostname()):
		return u, nil
	}
	return nil, fmt.Errorf("the realm %.200q is not https", realm)
}
