package authn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

const (
	// providerTimeout bounds one request to a provider.
	providerTimeout = 5 * time.Second
	// providerBody is the most that is read of one answer, in bytes.
	providerBody = 1 << 20
	// discoveryAge is how long a discovery document is believed.
	discoveryAge = time.Hour
)

// providerClient makes the HTTP client for talking to a provider: bounded in
// time and size, and following no redirects, which would let the provider, or
// who answers in its place, make us ask hosts that only we can reach.
func providerClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		transport = http.DefaultTransport
	}
	return &http.Client{
		Transport: cappedTransport{transport},
		Timeout:   providerTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("redirects are not followed")
		},
	}
}

// cappedTransport cuts off answers that are too long.
type cappedTransport struct{ http.RoundTripper }

func (t cappedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, providerBody)
	}
	return resp, err
}

// discovery finds and fetches the key set of an issuer (OpenID Connect
// Discovery 1.0). The document is read for addresses: which algorithms are
// accepted is ours to say.
type discovery struct {
	issuer   string
	insecure bool
	client   *http.Client
	now      func() time.Time

	mu       sync.Mutex // one fetch at a time anyway; guards the fields below
	document *metadata  // nil: not read yet, or to be read again
	read     time.Time
	failed   time.Time // when reading it failed last
	err      error     // of that
}

func (d *discovery) fetch(ctx context.Context) (*providerKeys, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.refresh(ctx); err != nil {
		return nil, err
	}
	keys, err := d.fetchKeys(ctx)
	if err != nil {
		d.document = nil // it may have moved
	}
	return keys, err
}

// refresh reads the document if there is none or it is old. d.mu is held.
func (d *discovery) refresh(ctx context.Context) error {
	if d.document != nil && d.now().Sub(d.read) <= discoveryAge {
		return nil
	}
	document, err := d.discover(ctx)
	if err != nil {
		d.failed, d.err = d.now(), err
		return err
	}
	d.document, d.read = document, d.now()
	return nil
}

func (d *discovery) discover(ctx context.Context) (*metadata, error) {
	document, err := discoverIssuer(ctx, d.client, d.issuer)
	if err != nil {
		return nil, err
	}
	return &document, d.checkEndpoint("jwks_uri", document.JWKSURI)
}

func discoverIssuer(ctx context.Context, client *http.Client, issuer string) (document metadata, err error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), issuer)
	if err != nil {
		return document, fmt.Errorf("discovery: %w", shortened(err))
	}
	if err := provider.Claims(&document); err != nil {
		return document, fmt.Errorf("discovery: %w", shortened(err))
	}
	return document, nil
}

// checkEndpoint sees that an address of the document is one to speak to.
func (d *discovery) checkEndpoint(name, address string) error {
	return checkDiscovered(name, address, d.issuer, d.insecure)
}

// checkDiscovered refuses addresses that an issuer must not send us to.
func checkDiscovered(name, address, issuer string, insecure bool) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil {
		return fmt.Errorf("discovery: %s is not an absolute URL", name)
	}
	// An http issuer was accepted knowingly; its addresses may be http too.
	if u.Scheme != "https" && (u.Scheme != "http" || !strings.HasPrefix(issuer, "http://")) {
		return fmt.Errorf("discovery: %s has scheme %.20q, want https", name, u.Scheme)
	}
	if u.Scheme == "http" && !insecure && !isLoopback(u.Hostname()) {
		return fmt.Errorf("discovery: %s is http on another machine", name)
	}
	return nil
}

func (d *discovery) fetchKeys(ctx context.Context) (*providerKeys, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.document.JWKSURI, nil)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", shortened(err))
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	// The age that counts is that of the provider's set, not of a proxy's copy.
	r.Header.Set("Cache-Control", "no-cache")
	asked := d.now()
	resp, err := d.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", shortened(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("key set: provider answers %d", resp.StatusCode)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", shortened(err))
	}
	return parseJWKS(body, asked)
}

// shortened bounds the text of an error that may quote what a provider sent.
func shortened(err error) error {
	if text := err.Error(); len(text) > 300 {
		return errors.New(strings.ToValidUTF8(text[:300], "") + "…")
	}
	return err
}
