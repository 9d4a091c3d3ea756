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
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/sync/singleflight"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/loopback"
)

const (
	// missInterval is the least time between two fetches that tokens with
	// unknown keys can cause.
	missInterval = 30 * time.Second
	// missMemory is how long a key ID that a fresh set did not have causes no
	// further fetch, and maxMissed how many such IDs are remembered. It is
	// short, for some providers sign with a key before they publish it.
	missMemory = time.Minute
	maxMissed  = 256
	// keyWait is how long a request waits for keys that are being fetched.
	keyWait = 2 * time.Second
	// fetchTimeout bounds one fetch, discovery and key set together.
	fetchTimeout = 10 * time.Second
	// retryFirst and retryMost bound the delay after failures, which doubles.
	retryFirst = time.Second
	retryMost  = 30 * time.Second
)

// keySet keeps a provider's signing keys fresh. Keys are fetched in the
// background, one fetch at a time, when they are about to be too old or when a
// token names a key that is not among them; requests wait for that for a short
// time at most, and not at all while the provider is known to be away. What
// was fetched last goes on working for the grace period.
type keySet struct {
	fetch         func(context.Context) (*providerKeys, error)
	withdrawn     func() // called when a key has disappeared from the set
	failed        func(error, time.Duration)
	now           func() time.Time
	maxAge, grace time.Duration

	current atomic.Pointer[providerKeys] // nil until the first fetch

	mu       sync.Mutex
	flight   *keyFlight // nil: none under way
	failures int        // in a row
	retryAt  time.Time  // no fetch before, after a failure
	lastErr  error
	missAt   time.Time // when an unknown key caused a fetch last
	missed   map[string]time.Time
}

// keyFlight is a fetch under way.
type keyFlight struct {
	done chan struct{}
	slow atomic.Bool // somebody has waited in vain: nobody else does
}

// fresh returns the keys if they may be used as they are. Keys in the last
// fifth of their age are, while new ones are fetched behind the scenes: in
// steady use no request waits and no withdrawn key outlives the maximum age.
func (s *keySet) fresh() *providerKeys {
	keys := s.current.Load()
	if keys == nil {
		return nil
	}
	age := s.now().Sub(keys.fetched)
	if age >= s.maxAge {
		return nil
	}
	if age > s.maxAge/5*4 && s.mu.TryLock() {
		s.begin()
		s.mu.Unlock()
	}
	return keys
}

// get returns keys that may be used, waiting shortly for them if need be, or
// [ErrUnavailable].
func (s *keySet) get(ctx context.Context) (*providerKeys, error) {
	if keys := s.fresh(); keys != nil {
		return keys, nil
	}
	s.mu.Lock()
	flight := s.begin()
	s.mu.Unlock()
	if err := flight.wait(ctx); err != nil {
		return nil, err
	}
	keys := s.current.Load()
	if keys == nil || s.now().Sub(keys.fetched) >= s.maxAge+s.grace {
		return nil, s.unavailable()
	}
	return keys, nil
}

// find returns the keys that a token may be signed with. If none fits and the
// token is otherwise in order, the provider is asked for newer ones, at most
// once in [missInterval].
func (s *keySet) find(ctx context.Context, t *signedToken, inOrder bool) ([]verificationKey, error) {
	keys, err := s.get(ctx)
	if err != nil {
		return nil, err
	}
	found, err := keys.find(t)
	if !errors.Is(err, errUnknownKey) || !inOrder || !t.hasKeyID {
		return found, err
	}
	s.mu.Lock()
	flight := s.flight
	if flight == nil && s.mayMiss(t.keyID) {
		if flight = s.begin(); flight != nil {
			s.missAt = s.now()
		}
	}
	away := flight == nil && s.failures > 0
	s.mu.Unlock()
	if away {
		return nil, s.unavailable() // a newer set might have it
	}
	if flight == nil {
		return nil, errUnknownKey
	}
	if err := flight.wait(ctx); err != nil {
		return nil, err
	}
	newer := s.current.Load()
	if newer == keys {
		return nil, s.unavailable()
	}
	if found, err = newer.find(t); errors.Is(err, errUnknownKey) {
		s.remember(t.keyID)
	}
	return found, err
}

// mayMiss reports whether an unknown key may cause a fetch. s.mu is held.
func (s *keySet) mayMiss(id string) bool {
	now := s.now()
	if now.Sub(s.missAt) < missInterval && !now.Before(s.missAt) {
		return false
	}
	at, known := s.missed[id]
	return !known || now.Sub(at) > missMemory
}

// remember notes that not even a fresh set had a key.
func (s *keySet) remember(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.missed == nil || len(s.missed) >= maxMissed {
		s.missed = make(map[string]time.Time)
	}
	s.missed[id] = s.now()
}

// begin starts a fetch unless one is under way, and returns it; nil if it is
// too early after a failure. s.mu is held.
func (s *keySet) begin() *keyFlight {
	if s.flight == nil && !s.now().Before(s.retryAt) {
		s.flight = &keyFlight{done: make(chan struct{})}
		go s.run(s.flight)
	}
	return s.flight
}

func (s *keySet) run(flight *keyFlight) {
	// The request that caused the fetch may end; others wait for it too.
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	keys, err := s.fetch(ctx)

	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(flight.done)
	s.flight = nil
	if err != nil {
		delay := retryMost
		if s.failures < 5 {
			delay = min(retryFirst<<s.failures, retryMost)
		}
		s.failures++
		s.retryAt, s.lastErr = s.now().Add(delay), err
		s.failed(err, delay)
		return
	}
	s.failures, s.retryAt, s.lastErr = 0, time.Time{}, nil
	old := s.current.Swap(keys)
	if old == nil {
		return
	}
	for _, k := range old.list {
		if !keys.has(k) {
			s.withdrawn() // after the swap: see [TokenCache.PutGeneration]
			return
		}
	}
}

// wait waits for the fetch to end, however it ends, for a short time. The
// first who waits in vain spares those who follow.
func (f *keyFlight) wait(ctx context.Context) error {
	if f == nil || f.slow.Load() {
		return nil
	}
	timer := time.NewTimer(keyWait)
	defer timer.Stop()
	select {
	case <-f.done:
	case <-timer.C:
		f.slow.Store(true)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	return nil
}

// unavailable says why there are no keys.
func (s *keySet) unavailable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lastErr != nil {
		return fmt.Errorf("%w: keys of the provider cannot be fetched: %w", ErrUnavailable, s.lastErr)
	}
	return fmt.Errorf("%w: keys of the provider are still being fetched", ErrUnavailable)
}

// keepTrying fetches the keys until that has succeeded once or ctx ends.
func (s *keySet) keepTrying(ctx context.Context) {
	for s.current.Load() == nil {
		s.mu.Lock()
		flight, pause := s.begin(), s.retryAt.Sub(s.now())
		s.mu.Unlock()
		if flight != nil {
			select {
			case <-flight.done:
			case <-ctx.Done():
				return
			}
			continue
		}
		select {
		case <-time.After(max(pause, 10*time.Millisecond)):
		case <-ctx.Done():
			return
		}
	}
}

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

	flights singleflight.Group
	known   atomic.Pointer[discovered] // nil: not read yet, or to be read again
	failed  atomic.Pointer[discoveryFailure]
}

// discovered is a document as it was read.
type discovered struct {
	metadata
	read time.Time
}

// discoveryFailure is when reading the document failed last, and how.
type discoveryFailure struct {
	at  time.Time
	err error
}

func (d *discovery) fetch(ctx context.Context) (*providerKeys, error) {
	document, err := d.get(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := d.fetchKeys(ctx, document.JWKSURI)
	if err != nil {
		d.known.CompareAndSwap(document, nil) // it may have moved
	}
	return keys, err
}

// get returns the document, which is read if there is none or it is old. Those
// who need it at the same time wait for one answer, each as long as they like.
func (d *discovery) get(ctx context.Context) (*discovered, error) {
	if known := d.known.Load(); known != nil && d.now().Sub(known.read) <= discoveryAge {
		return known, nil
	}
	done := d.flights.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), providerTimeout)
		defer cancel()
		document, err := discoverIssuer(ctx, d.client, d.issuer)
		if err == nil {
			err = d.checkEndpoint("jwks_uri", document.JWKSURI)
		}
		if err != nil {
			d.failed.Store(&discoveryFailure{d.now(), err})
			return nil, err
		}
		known := &discovered{document, d.now()}
		d.known.Store(known)
		return known, nil
	})
	select {
	case r := <-done:
		known, _ := r.Val.(*discovered)
		return known, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
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
	if u.Scheme == "http" && !insecure && !loopback.Is(u.Hostname()) {
		return fmt.Errorf("discovery: %s is http on another machine", name)
	}
	return nil
}

func (d *discovery) fetchKeys(ctx context.Context, address string) (*providerKeys, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
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
