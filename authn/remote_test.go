package authn

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// asked is a service that counts its questions and answers as it is told.
type askedService struct {
	*httptest.Server
	questions atomic.Int32
	mu        sync.Mutex
	answer    http.HandlerFunc
}

func newAskedService(t *testing.T, answer http.HandlerFunc) *askedService {
	s := &askedService{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.questions.Add(1)
		s.mu.Lock()
		answer := s.answer
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *askedService) set(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// serviceClock is a clock that tests move.
type serviceClock struct{ unix atomic.Int64 }

func (c *serviceClock) now() time.Time          { return time.Unix(0, c.unix.Load()) }
func (c *serviceClock) advance(d time.Duration) { c.unix.Add(int64(d)) }

func newServiceClock() *serviceClock {
	c := new(serviceClock)
	c.unix.Store(certificateNow.UnixNano())
	return c
}

func basicPassword(user, secret string) *Credential {
	return &Credential{Scheme: SchemeBasic, Username: user, Secret: secret}
}

func TestExternal(t *testing.T) {
	clock := newServiceClock()
	for _, test := range []struct {
		name   string
		status int
		body   string
		want   *Principal
		err    error
	}{
		{
			"a user", 200, `{"name":"alice","groups":["dev"],"roles":["sr"],"subject":"42"}`,
			&Principal{Kind: KindUser, Name: "x-alice", Groups: []string{"x-dev"}, Roles: []string{"x-sr"}, Subject: "42", Credential: CredentialExternalPassword},
			nil,
		},
		{"a robot", 200, `{"kind":"robot","name":"ci"}`, &Principal{Kind: KindRobot, Name: "x-ci", Credential: CredentialExternalPassword}, nil},
		{"wrong", 401, ``, nil, ErrInvalid},
		{"forbidden", 403, ``, nil, ErrInvalid},
		{"not mine", 404, ``, nil, ErrNotMine},
		{"broken", 500, ``, nil, ErrUnavailable},
		{"redirect", 302, ``, nil, ErrUnavailable},
		{"no JSON", 200, `hello`, nil, ErrUnavailable},
		{"more than one", 200, `{"name":"a"}{"name":"b"}`, nil, ErrUnavailable},
		{"misspelt", 200, `{"name":"a","group":["dev"]}`, nil, ErrUnavailable},
		{"nobody", 200, `{}`, nil, ErrUnavailable},
		{"anonymous", 200, `{"kind":"anonymous","name":"a"}`, nil, ErrUnavailable},
		{"control characters", 200, `{"name":"a\nb"}`, nil, ErrUnavailable},
		{"no name for a robot", 200, `{"kind":"robot","name":"A B"}`, nil, ErrUnavailable},
		{"an empty group", 200, `{"name":"a","groups":[""]}`, nil, ErrUnavailable},
		{"negative ttl", 200, `{"name":"a","ttl":-1}`, nil, ErrUnavailable},
		{"too large", 200, `{"name":"` + strings.Repeat("a", 300<<10) + `"}`, nil, ErrUnavailable},
		{"expired", 200, `{"name":"a","expires":"2020-01-01T00:00:00Z"}`, nil, ErrExpired},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newAskedService(t, says(test.status, test.body))
			e, err := NewExternal(ExternalConfig{URL: s.URL, Prefix: "x-"}, Options{Now: clock.now})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				p, err := e.Authenticate(t.Context(), basicPassword("alice", "hunter2"))
				if !errors.Is(err, test.err) || !reflect.DeepEqual(p, test.want) {
					t.Fatalf("got %+v, %v", p, err)
				}
				if err != nil && strings.Contains(err.Error(), "hunter2") {
					t.Errorf("the secret is in %v", err)
				}
			}
			want := int32(1)
			if errors.Is(test.err, ErrUnavailable) {
				want = 2
			}
			if got := s.questions.Load(); got != want {
				t.Errorf("asked %d times, want %d", got, want)
			}
		})
	}
}

func TestExternalQuestion(t *testing.T) {
	var seen struct {
		header http.Header
		body   string
	}
	s := newAskedService(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen.header, seen.body = r.Header, string(body)
		_, _ = io.WriteString(w, `{"name":"a"}`)
	})
	e, err := NewExternal(ExternalConfig{URL: s.URL, Credentials: []string{"password", "bearer"}, Headers: map[string]string{"Authorization": "Bearer own"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := basicPassword("alice", "päss")
	c.Remote = certificateRemote
	if _, err := e.Authenticate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if seen.body != `{"kind":"password","username":"alice","secret":"päss","client_ip":"192.0.2.7"}` || seen.header.Get("Authorization") != "Bearer own" {
		t.Errorf("asked %s with %v", seen.body, seen.header)
	}
	if _, err := e.Authenticate(t.Context(), &Credential{Scheme: SchemeBearer, Secret: "opaque"}); err != nil || seen.body != `{"kind":"bearer","secret":"opaque"}` {
		t.Errorf("asked %s, %v", seen.body, err)
	}
	before := s.questions.Load()
	secret, _ := NewSecret(SecretRobot)
	for _, c := range []*Credential{basicPassword("ci", secret), {Scheme: SchemeRegistrySecret, Secret: "x"}} {
		if _, err := e.Authenticate(t.Context(), c); !errors.Is(err, ErrNotMine) {
			t.Errorf("%v: %v", c, err)
		}
	}
	passwords, _ := NewExternal(ExternalConfig{URL: s.URL}, Options{})
	for _, c := range []*Credential{basicPassword("x", "eyJhbGciOiJub25lIn0.e30.AAAA"), {Scheme: SchemeBearer, Secret: "opaque"}} {
		if _, err := passwords.Authenticate(t.Context(), c); !errors.Is(err, ErrNotMine) {
			t.Errorf("%v: %v", c, err)
		}
	}
	if s.questions.Load() != before {
		t.Error("the service was told of what is not its")
	}
}

func TestRemoteMemory(t *testing.T) {
	clock := newServiceClock()
	s := newAskedService(t, says(200, `{"name":"a"}`))
	e, err := NewExternal(ExternalConfig{URL: s.URL, CacheTTL: Duration(time.Minute)}, Options{Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(secret string) error {
		_, err := e.Authenticate(t.Context(), basicPassword("a", secret))
		return err
	}
	expect := func(what string, questions int32) {
		t.Helper()
		if got := s.questions.Swap(0); got != questions {
			t.Errorf("%s: asked %d times, want %d", what, got, questions)
		}
	}
	_, _ = ask("x"), ask("x")
	expect("same", 1)
	_ = ask("y")
	expect("another secret", 1)
	clock.advance(time.Minute)
	_ = ask("x")
	expect("later", 1)
	s.set(says(200, `{"name":"a","ttl":0}`))
	_, _ = ask("z"), ask("z")
	expect("not to be kept", 2)
	s.set(says(200, `{"name":"a","ttl":999999999}`))
	_ = ask("long")
	clock.advance(9 * time.Minute)
	_ = ask("long")
	expect("kept for long", 1)
	clock.advance(time.Minute)
	_ = ask("long")
	expect("not for ever", 1)
	s.set(says(401, ``))
	_, _ = ask("wrong"), ask("wrong")
	expect("wrong", 1)
	clock.advance(remoteNegative)
	s.set(says(200, `{"name":"a"}`))
	if err := ask("wrong"); err != nil {
		t.Errorf("corrected: %v", err)
	}
	expect("corrected", 1)

	// While the service is down, what is known goes on, and it is left alone.
	s.set(says(500, ``))
	for i := range 20 {
		if err := ask(fmt.Sprint("down", i)); !errors.Is(err, ErrUnavailable) {
			t.Errorf("down: %v", err)
		}
		if err := ask("wrong"); err != nil {
			t.Errorf("known: %v", err)
		}
	}
	expect("down", breakerLimit)
	clock.advance(breakerPause)
	_, _ = ask("probe"), ask("probe")
	expect("one probe", 1)
	clock.advance(breakerPause)
	s.set(says(200, `{"name":"a"}`))
	if err := errors.Join(ask("up"), ask("up again")); err != nil {
		t.Errorf("up: %v", err)
	}
	expect("up", 2)
}

func TestRemoteCrowd(t *testing.T) {
	release := make(chan struct{})
	s := newAskedService(t, func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = io.WriteString(w, `{"name":"a"}`)
	})
	e, err := NewExternal(ExternalConfig{URL: s.URL, MaxConcurrent: 2}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	e.remote.pool.wait, e.remote.pool.patience = 50*time.Millisecond, 50*time.Millisecond
	errs := make(chan error, 12)
	for i := range 12 {
		go func() {
			_, err := e.Authenticate(context.Background(), basicPassword("a", fmt.Sprint("secret", i%2)))
			errs <- err
		}()
	}
	for s.questions.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	if _, err := e.Authenticate(t.Context(), basicPassword("a", "third")); !errors.Is(err, ErrBusy) {
		t.Errorf("one more: %v", err)
	}
	left, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Authenticate(left, basicPassword("a", "secret0")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("who hangs up: %v", err)
	}
	close(release)
	for range 12 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got := s.questions.Load(); got != 2 {
		t.Errorf("asked %d times", got)
	}
}

// TestRemoteIsFair floods a service from one place: who comes from another is
// asked about next, and not refused.
func TestRemoteIsFair(t *testing.T) {
	s := newAskedService(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		time.Sleep(5 * time.Millisecond)
		if strings.Contains(string(body), `"right"`) {
			_, _ = io.WriteString(w, `{"name":"a"}`)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	e, err := NewExternal(ExternalConfig{URL: s.URL, MaxConcurrent: 2}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var guesses atomic.Int64
	var flood sync.WaitGroup
	for range 100 {
		flood.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c := basicPassword("a", fmt.Sprint("guess", guesses.Add(1)))
				c.Remote = here
				_, _ = e.Authenticate(t.Context(), c)
			}
		})
	}
	defer func() { close(stop); flood.Wait() }()
	for s.questions.Load() < 20 {
		time.Sleep(time.Millisecond)
	}
	for i := range 20 {
		c := basicPassword(fmt.Sprint("b", i), "right")
		c.Remote = elsewhere
		if _, err := e.Authenticate(t.Context(), c); err != nil {
			t.Errorf("from another place: %v", err)
		}
	}
}

// accountToken is a token as a cluster issues it; the signature is for the API
// server to check.
func accountToken(claims map[string]any) string {
	segment := func(v any) string {
		b, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	return segment(map[string]string{"alg": "RS256", "kid": "k"}) + "." + segment(claims) + "." + segment("signature")
}

func TestTokenReview(t *testing.T) {
	clock := newServiceClock()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("own-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	claims := func() map[string]any {
		return map[string]any{
			"iss": "https://kubernetes.default.svc", "jti": "id1", "kubernetes.io": map[string]any{"namespace": "ci"},
			"exp": clock.now().Add(time.Hour).Unix(), "iat": clock.now().Unix(),
		}
	}
	good := `{"kind":"TokenReview","status":{"authenticated":true,"audiences":["registry"],"user":{"username":"system:serviceaccount:ci:builder","uid":"u","groups":["system:serviceaccounts"],"extra":{"authentication.kubernetes.io/pod-name":["pod-1"]}}}}`
	for _, test := range []struct {
		name   string
		status int
		body   string
		err    error
	}{
		{"good", 201, good, nil},
		{"not authenticated", 201, `{"kind":"TokenReview","status":{"error":"bad"}}`, ErrInvalid},
		{"server without audiences", 201, strings.Replace(good, `"audiences":["registry"],`, "", 1), ErrInvalid},
		{"another audience", 201, strings.Replace(good, `["registry"]`, `["vault"]`, 1), ErrInvalid},
		{"a person", 201, strings.Replace(good, "system:serviceaccount:ci:builder", "alice", 1), ErrInvalid},
		{"a strange name", 201, strings.Replace(good, ":builder", ":a:b", 1), ErrInvalid},
		{"an account that is not accepted", 201, strings.Replace(good, ":ci:", ":prod:", 1), ErrInvalid},
		{"our own token is wrong", 401, ``, ErrUnavailable},
		{"our own account may not", 403, ``, ErrUnavailable},
		{"down", 500, ``, ErrUnavailable},
		{"something else", 201, `{"kind":"Status"}`, ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			var question tokenReview
			s := newAskedService(t, func(w http.ResponseWriter, r *http.Request) {
				_ = json.NewDecoder(r.Body).Decode(&question)
				if r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" || r.Header.Get("Authorization") != "Bearer own-token" {
					w.WriteHeader(http.StatusTeapot)
					return
				}
				says(test.status, test.body)(w, r)
			})
			a, err := NewTokenReview(TokenReviewConfig{Server: s.URL, Audiences: []string{"registry"}, Accounts: []string{"ci/*"}, Prefix: "k8s/", TokenFile: file}, Options{Now: clock.now})
			if err != nil {
				t.Fatal(err)
			}
			token := accountToken(claims())
			p, err := a.Authenticate(t.Context(), basicPassword("any", token))
			if !errors.Is(err, test.err) {
				t.Fatalf("got %v", err)
			}
			if question.Spec.Token != token || !reflect.DeepEqual(question.Spec.Audiences, []string{"registry"}) || question.Kind != "TokenReview" {
				t.Errorf("asked %+v", question)
			}
			if err != nil {
				return
			}
			if p.String() != "workload:k8s/ci/builder" || p.CredentialID != "id1" || p.Claims["pod"] != "pod-1" || p.Claims["namespace"] != "ci" ||
				!reflect.DeepEqual(p.Groups, []string{"system:serviceaccounts"}) || !p.Expires.Equal(clock.now().Add(time.Hour).Truncate(time.Second)) {
				t.Errorf("got %+v", p)
			}
			if err := a.Recheck(p, nil); err != nil {
				t.Errorf("recheck: %v", err)
			}
			if err := a.Recheck(&Principal{Kind: KindWorkload, Name: "k8s/prod/x"}, nil); !errors.Is(err, ErrDisabled) {
				t.Errorf("recheck of another account: %v", err)
			}
		})
	}

	s := newAskedService(t, says(201, good))
	config := TokenReviewConfig{Server: s.URL, Audiences: []string{"registry"}, TokenFile: file}
	a, err := NewTokenReview(config, Options{Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	config.Issuers = []string{"https://kubernetes.default.svc"}
	byIssuer, err := NewTokenReview(config, Options{Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	foreign, expired, bare := claims(), claims(), claims()
	foreign["iss"] = "https://elsewhere"
	expired["exp"] = clock.now().Unix()
	delete(bare, "kubernetes.io")
	for _, test := range []struct {
		name   string
		a      *TokenReview
		secret string
		err    error
	}{
		{"a password", a, "hunter2", ErrNotMine},
		{"broken", a, "eyJ.broken.broken-broken-broken", ErrNotMine},
		{"another platform's", a, accountToken(bare), ErrNotMine},
		{"another issuer's", byIssuer, accountToken(foreign), ErrNotMine},
		{"expired", a, accountToken(expired), ErrExpired},
	} {
		if _, err := test.a.Authenticate(t.Context(), &Credential{Scheme: SchemeBearer, Secret: test.secret}); !errors.Is(err, test.err) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if n := s.questions.Load(); n != 0 {
		t.Errorf("asked %d times for what is not ours", n)
	}
	if _, err := byIssuer.Authenticate(t.Context(), &Credential{Scheme: SchemeBearer, Secret: accountToken(bare)}); err != nil {
		t.Errorf("by its issuer: %v", err)
	}
}

func TestServiceConfiguration(t *testing.T) {
	external := func(c ExternalConfig) func() error {
		return func() error { _, err := NewExternal(c, Options{}); return err }
	}
	review := func(c TokenReviewConfig) func() error {
		return func() error { _, err := NewTokenReview(c, Options{}); return err }
	}
	for want, make := range map[string]func() error{
		"want an absolute URL":              external(ExternalConfig{}),
		"anybody between":                   external(ExternalConfig{URL: "http://auth.example.com"}),
		"neither a user":                    external(ExternalConfig{URL: "https://a:b@auth.example.com"}),
		"password or bearer":                external(ExternalConfig{URL: "https://a", Credentials: []string{"cookie"}}),
		"cannot be set":                     external(ExternalConfig{URL: "https://a", Headers: map[string]string{"host": "x"}}),
		"control characters":                external(ExternalConfig{URL: "https://a", Headers: map[string]string{"X": "a\nb"}}),
		"cache_ttl: want at most 1h":        external(ExternalConfig{URL: "https://a", CacheTTL: Duration(2 * time.Hour)}),
		"max_concurrent: want at most":      external(ExternalConfig{URL: "https://a", MaxConcurrent: 5000}),
		"server \"http://k8s.example.com\"": review(TokenReviewConfig{Server: "http://k8s.example.com"}),
		"audience is missing":               review(TokenReviewConfig{Server: "https://k"}),
		"want an absolute path":             review(TokenReviewConfig{Server: "https://k", Audiences: []string{"a"}, TokenFile: "token"}),
		"cache_ttl: want at most 10m":       review(TokenReviewConfig{Server: "https://k", Audiences: []string{"a"}, CacheTTL: Duration(time.Hour)}),
		"account is empty":                  review(TokenReviewConfig{Server: "https://k", Audiences: []string{"a"}, Accounts: []string{""}}),
	} {
		if err := make(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
