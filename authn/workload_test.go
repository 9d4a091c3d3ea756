package authn

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// jobClaims are those of a GitHub Actions job on the main branch of corp/app,
// changed by change; nil removes.
func (p *testProvider) jobClaims(now time.Time, change object) object {
	c := object{
		"iss": p.URL, "aud": "registry.test", "sub": "repo:corp/app:ref:refs/heads/main", "jti": "job-1",
		"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"repository": "corp/app", "repository_owner": "corp", "repository_id": "74", "ref": "refs/heads/main",
		"event_name": "push", "actor": "alice",
	}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// requireSub is a mapping that requires one subject.
func requireSub(name string, values ...string) WorkloadMapping {
	return WorkloadMapping{Name: name, Audiences: []string{"registry.test"}, Require: []ClaimRequirement{{Claim: "sub", Values: values}}}
}

func (p *testProvider) workload(t testing.TB, clock *testClock, mappings ...WorkloadMapping) *Workload {
	t.Helper()
	a, err := NewWorkload(WorkloadConfig{Issuer: p.URL, Mappings: mappings}, nil, Options{Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// works fails the test unless the token has the wanted outcome.
func works(t *testing.T, a *Workload, token string, want error) *Principal {
	t.Helper()
	p, err := a.Authenticate(t.Context(), show(token))
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Fatalf("got %v, want %v", err, want)
	}
	if err != nil && (p != nil || token != "" && strings.Contains(err.Error(), token)) {
		t.Fatal("principal together with an error, or the token in it")
	}
	return p
}

func TestWorkloadPrincipal(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	a := provider.workload(t, clock, requireSub("github", "repo:corp/app:ref:refs/heads/main"))
	token := key.sign(nil, provider.jobClaims(clock.now(), nil))
	p := works(t, a, token, nil)
	if p.Kind != KindWorkload || p.Name != "github" || p.Issuer != provider.URL || p.Subject != "repo:corp/app:ref:refs/heads/main" ||
		p.Authenticator != "workload:"+provider.URL || p.Credential != CredentialWorkloadToken || p.CredentialID != "job-1" ||
		p.Expires.Sub(clock.now()).Round(time.Minute) != 5*time.Minute || p.Issued.IsZero() || p.Claims["actor"] != "alice" || p.Groups != nil {
		t.Errorf("principal %+v", p)
	}
	again, err := a.Authenticate(t.Context(), &Credential{Scheme: SchemeBasic, Username: "whoever", Secret: token})
	if err != nil || again != p {
		t.Errorf("as a password: %v, %v", again, err)
	}
	for _, other := range []string{"", "secret", key.sign(nil, provider.jobClaims(clock.now(), object{"iss": "https://other.test"}))} {
		works(t, a, other, ErrNotMine)
	}
	clock.advance(5*time.Minute + 61*time.Second)
	works(t, a, token, ErrExpired)
}

// The subject of a job is compared whole.
func TestWorkloadSubject(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	main := []string{"repo:corp/app:ref:refs/heads/main"}
	for _, test := range []struct {
		name     string
		required []string
		sub      any
		want     error
	}{
		{"exact", main, "repo:corp/app:ref:refs/heads/main", nil},
		{"prefix", main, "repo:corp/app:ref:refs/heads/main-evil", ErrInvalid},
		{"suffix", main, "x:repo:corp/app:ref:refs/heads/main", ErrInvalid},
		{"case", main, "repo:CORP/App:ref:refs/heads/main", ErrInvalid},
		{"organisation", main, "repo:corp-evil/app:ref:refs/heads/main", ErrInvalid},
		{"other organisation", main, "repo:evil/app:ref:refs/heads/main", ErrInvalid},
		{"pull request", main, "repo:corp/app:pull_request", ErrInvalid},
		{"tag of that name", main, "repo:corp/app:ref:refs/tags/main", ErrInvalid},
		{"environment", main, "repo:corp/app:environment:main", ErrInvalid},
		{"line end", main, "repo:corp/app:ref:refs/heads/main\n", ErrInvalid},
		{"missing", main, nil, ErrInvalid},
		{"empty", main, "", ErrInvalid},
		{"number", main, 1, ErrInvalid},
		{"list", main, main, ErrInvalid},
		{"huge", []string{"**"}, strings.Repeat("s", 1025), ErrInvalid},

		{"any repository", []string{"repo:corp/*:ref:refs/heads/main"}, "repo:corp/other:ref:refs/heads/main", nil},
		{"star is no slash", []string{"repo:corp*:ref:refs/heads/main"}, "repo:corp/app:ref:refs/heads/main", ErrInvalid},
		{"star is no slash in a branch", []string{"repo:corp/app:ref:refs/heads/*"}, "repo:corp/app:ref:refs/heads/a/b", ErrInvalid},
		{"star is no colon", []string{"repo:corp/*:main"}, "repo:corp/app:ref:refs/heads:main", ErrInvalid},
		{"star is not the end", []string{"repo:corp/app:ref:refs/heads/*"}, "repo:corp/app:ref:refs/heads/x:pull_request", ErrInvalid},
		{"star is nothing", []string{"repo:corp/app:ref:refs/heads/main*"}, "repo:corp/app:ref:refs/heads/main", nil},
		{"two stars are anything", []string{"repo:corp/app:**"}, "repo:corp/app:ref:refs/heads/a/b", nil},
		{"two stars after the name", []string{"repo:corp/app:**"}, "repo:corp/app2:ref:refs/heads/main", ErrInvalid},
		{"two stars, line end", []string{"repo:corp/app:**"}, "repo:corp/app:a\nb", nil},
		{"dot is a dot", []string{"repo:corp/a.p:*"}, "repo:corp/app:pull_request", ErrInvalid},
		{"glob and case", []string{"repo:corp/*:pull_request"}, "repo:CORP/app:pull_request", ErrInvalid},
		{"alternatives", []string{"a", "repo:corp/*:pull_request"}, "repo:corp/app:pull_request", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := provider.workload(t, clock, requireSub("github", test.required...))
			works(t, a, key.sign(nil, provider.jobClaims(clock.now(), object{"sub": test.sub})), test.want)
		})
	}
}

func TestWorkloadClaims(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	now := clock.now()
	in := func(d time.Duration) int64 { return now.Add(d).Unix() }
	a := provider.workload(t, clock, WorkloadMapping{Name: "ci", Audiences: []string{"registry.test", "mirror.test"}, Require: []ClaimRequirement{
		{Claim: "repository_owner", Values: []string{"corp"}},
		{Claim: "ref", Values: []string{"refs/heads/main", "refs/tags/v*"}},
	}})
	for _, test := range []struct {
		name   string
		change object
		want   error
	}{
		{"plain", nil, nil},
		{"alternative", object{"ref": "refs/tags/v1"}, nil},
		{"one audience in a list", object{"aud": []string{"registry.test"}}, nil},
		{"two of our audiences", object{"aud": []string{"mirror.test", "registry.test"}}, nil},
		{"of a service account with azp", object{"azp": "1234567890"}, nil},
		{"no jti", object{"jti": nil}, nil},
		{"fits for an hour", object{"iat": in(-59 * time.Minute)}, nil},

		{"nosub", object{"sub": nil}, ErrInvalid},
		{"owner", object{"repository_owner": "corp2"}, ErrInvalid},
		{"owner missing", object{"repository_owner": nil}, ErrInvalid},
		{"owner null and ref good", object{"repository_owner": []any{nil}}, ErrInvalid},
		{"owner object", object{"repository_owner": object{"corp": "corp"}}, ErrInvalid},
		{"ref", object{"ref": "refs/heads/dev"}, ErrInvalid},
		{"ref missing", object{"ref": nil}, ErrInvalid},
		{"aud-other", object{"aud": "sts.amazonaws.com"}, ErrInvalid},
		{"aud-star", object{"aud": "*"}, ErrInvalid},
		{"aud-case", object{"aud": "Registry.test"}, ErrInvalid},
		{"aud-prefix", object{"aud": "registry.test.evil"}, ErrInvalid},
		{"aud-missing", object{"aud": nil}, ErrInvalid},
		{"aud-empty", object{"aud": []string{}}, ErrInvalid},
		{"aud-number", object{"aud": []any{"registry.test", 1}}, ErrInvalid},
		{"aud also of somebody else", object{"aud": []string{"registry.test", "sts.amazonaws.com"}}, ErrInvalid},
		{"exp-missing", object{"exp": nil}, ErrInvalid},
		{"exp-past", object{"exp": in(-61 * time.Second)}, ErrExpired},
		{"iat-missing", object{"iat": nil}, ErrInvalid},
		{"iat-future", object{"iat": in(time.Hour), "exp": in(2 * time.Hour)}, ErrInvalid},
		{"nbf-future", object{"nbf": in(time.Hour)}, ErrInvalid},
		{"too old", object{"iat": in(-62 * time.Minute)}, ErrExpired},
		{"jti huge", object{"jti": strings.Repeat("j", 256)}, ErrInvalid},
		{"logout token", object{"events": object{}}, ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			works(t, a, key.sign(nil, provider.jobClaims(now, test.change)), test.want)
		})
	}
}

// Claims may be nested, lists, numbers and truth values.
func TestWorkloadClaimForms(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	for _, test := range []struct {
		claim, value string
		in           object
		want         error
	}{
		{"kubernetes.io.namespace", "ci", object{"kubernetes.io": object{"namespace": "ci"}}, nil},
		{"kubernetes.io.namespace", "ci", object{"kubernetes.io": object{"namespace": "ci2"}}, ErrInvalid},
		{"oidc.circleci.com/project-id", "p", object{"oidc.circleci.com/project-id": "p"}, nil},
		{"n", "7", object{"n": 7}, nil},
		{"n", "7", object{"n": 7.5}, ErrInvalid},
		{"n", "9007199254740993", object{"n": 9007199254740992.0}, ErrInvalid},
		{"n", "**", object{"n": 1e300}, ErrInvalid},
		{"b", "true", object{"b": true}, nil},
		{"b", "true", object{"b": "true"}, nil},
		{"b", "true", object{"b": false}, ErrInvalid},
		{"l", "b", object{"l": []any{"a", "b"}}, nil},
		{"l", "b", object{"l": []any{[]any{"b"}, object{"b": "b"}}}, ErrInvalid},
		{"x", "**", object{"x": nil}, ErrInvalid},
		{"email", "ci@x.test", object{"email": "ci@x.test", "email_verified": true}, nil},
		{"email", "ci@x.test", object{"email": "ci@x.test", "email_verified": false}, ErrInvalid},
	} {
		a := provider.workload(t, clock, WorkloadMapping{Name: "w", Audiences: []string{"registry.test"}, Require: []ClaimRequirement{{test.claim, []string{test.value}}}})
		t.Run(test.claim+" "+test.value, func(t *testing.T) {
			works(t, a, key.sign(nil, provider.jobClaims(clock.now(), test.in)), test.want)
		})
	}
}

// The first mapping that a token meets is the one; a refusal says what was
// missing in each.
func TestWorkloadMappings(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	short := requireSub("release", "repo:corp/app:ref:refs/tags/*")
	short.MaxAge = Duration(time.Minute)
	elsewhere := requireSub("mirror", "**")
	elsewhere.Audiences = []string{"mirror.test"}
	a := provider.workload(t, clock, short, requireSub("app", "repo:corp/app:**"), requireSub("any", "repo:corp/**"), elsewhere)
	for _, test := range []struct{ sub, aud, want string }{
		{"repo:corp/app:ref:refs/tags/v1", "registry.test", "release"},
		{"repo:corp/app:pull_request", "registry.test", "app"},
		{"repo:corp/web:pull_request", "registry.test", "any"},
		{"repo:other/web:pull_request", "mirror.test", "mirror"},
	} {
		p := works(t, a, key.sign(nil, provider.jobClaims(clock.now(), object{"sub": test.sub, "aud": test.aud})), nil)
		if p.Name != test.want {
			t.Errorf("%s: %s, want %s", test.sub, p.Name, test.want)
		}
		if err := a.Recheck(p, &Credential{}); err != nil {
			t.Error(err)
		}
	}
	// Too old for the mapping that it meets; the next would take it.
	old := clock.now().Add(-3 * time.Minute).Unix()
	works(t, a, key.sign(nil, provider.jobClaims(clock.now(), object{"sub": "repo:corp/app:ref:refs/tags/v1", "iat": old})), ErrExpired)

	_, err := a.Authenticate(t.Context(), show(key.sign(nil, provider.jobClaims(clock.now(), object{"sub": "repo:evil/x:y"}))))
	for _, part := range []string{"release: claim sub", "any: claim sub", `"repo:evil/x:y"`, `mirror: audience "registry.test"`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %v, want %q in it", err, part)
		}
	}

	p := works(t, a, key.sign(nil, provider.jobClaims(clock.now(), nil)), nil)
	for _, change := range []func(*Principal){
		func(p *Principal) { p.Name = "removed" },
		func(p *Principal) { p.Issuer = "https://other.test" },
		func(p *Principal) { p.Kind = KindUser },
		func(p *Principal) { p.Terms = "" },
		func(p *Principal) { p.Terms = "other" },
	} {
		changed := *p
		change(&changed)
		if err := a.Recheck(&changed, &Credential{}); !errors.Is(err, ErrDisabled) {
			t.Errorf("%+v: %v", changed, err)
		}
	}
}

func TestWorkloadSingleUse(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	once := requireSub("once", "repo:corp/**")
	once.SingleUse = true
	spent := NewSpentTokens()
	spent.limit = 2
	config := WorkloadConfig{Issuer: provider.URL, Mappings: []WorkloadMapping{once, requireSub("often", "repo:other/**")}}
	a := must(NewWorkload(config, spent, Options{Now: clock.now}))
	token := func(change object) string { return key.sign(nil, provider.jobClaims(clock.now(), change)) }

	first := token(nil)
	works(t, a, first, nil)
	works(t, a, first, ErrInvalid)
	works(t, a, token(object{"extra": "same jti, other token"}), ErrInvalid)
	works(t, must(NewWorkload(config, spent, Options{Now: clock.now})), first, ErrInvalid) // after a reload
	works(t, a, token(object{"jti": nil}), ErrInvalid)
	works(t, a, token(object{"jti": 1}), ErrInvalid)
	// What is refused for another reason is not spent.
	late := token(object{"jti": "job-2", "nbf": clock.now().Add(2 * time.Minute).Unix()})
	works(t, a, late, ErrInvalid)
	works(t, a, first[:len(first)-8]+"AAAAAAAA", ErrInvalid)
	clock.advance(2 * time.Minute)
	works(t, a, late, nil)
	works(t, a, late, ErrInvalid)
	// Full: refused, not forgotten.
	works(t, a, token(object{"jti": "job-3"}), ErrBusy)
	works(t, a, first, ErrInvalid)
	clock.advance(time.Hour)
	works(t, a, token(object{"jti": "job-4"}), nil)

	often := token(object{"sub": "repo:other/x:y"})
	works(t, a, often, nil)
	works(t, a, often, nil)
}

func TestWorkloadStaticKeys(t *testing.T) {
	key, other := newECKey("k1"), newECKey("k2")
	provider, clock := newProvider(t), &testClock{}
	provider.fail(func(http.ResponseWriter, *http.Request) bool {
		t.Error("the issuer is asked")
		return false
	})
	set := func(k testKey) []byte { return must(json.Marshal(object{"keys": []any{k.jwk()}})) }
	config := WorkloadConfig{Issuer: provider.URL, Mappings: []WorkloadMapping{requireSub("ci", "**")}, JWKS: set(key)}
	good := func() string { return key.sign(nil, provider.jobClaims(clock.now(), nil)) }
	forged := func() string { return other.sign(nil, provider.jobClaims(clock.now(), nil)) }

	a := must(NewWorkload(config, nil, Options{Now: clock.now}))
	works(t, a, good(), nil)
	works(t, a, forged(), ErrInvalid)
	clock.advance(24 * time.Hour)
	works(t, a, good(), nil)

	path := filepath.Join(t.TempDir(), "jwks.json")
	config.JWKS, config.JWKSFile = nil, path
	a = must(NewWorkload(config, nil, Options{Now: clock.now}))
	works(t, a, good(), ErrUnavailable) // no file yet
	if err := os.WriteFile(path, set(key), 0o600); err != nil {
		t.Fatal(err)
	}
	clock.advance(time.Minute)
	works(t, a, good(), nil)
	if err := os.WriteFile(path, set(other), 0o600); err != nil {
		t.Fatal(err)
	}
	clock.advance(defaultJWKSMaxAge)
	works(t, a, forged(), nil)
	works(t, a, good(), ErrInvalid)
	if err := os.WriteFile(path, []byte(strings.Repeat(" ", providerBody+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	clock.advance(defaultJWKSMaxAge + defaultJWKSGrace)
	works(t, a, forged(), ErrUnavailable)
}

// An issuer is not trusted with more than its own tokens.
func TestWorkloadHostileIssuer(t *testing.T) {
	key, mallory := newECKey("k1"), newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	a := provider.workload(t, clock, requireSub("ci", "repo:corp/**"))
	claims := provider.jobClaims(clock.now(), nil)
	for name, token := range map[string]string{
		"another's key":      mallory.sign(nil, claims),
		"key in the header":  mallory.sign(object{"jwk": mallory.jwk()}, claims),
		"none":               encodeJSON(object{"alg": "none"}) + "." + encodeJSON(claims) + ".",
		"HS256":              key.sign(object{"alg": "HS256"}, claims),
		"access token":       key.sign(object{"typ": "at+jwt"}, claims),
		"unknown key":        key.sign(object{"kid": "k9"}, claims),
		"critical extension": key.sign(object{"crit": []string{"x"}}, claims),
	} {
		t.Run(name, func(t *testing.T) { works(t, a, token, ErrInvalid) })
	}

	away := newProvider(t, key)
	away.away()
	works(t, away.workload(t, clock, requireSub("ci", "**")), key.sign(nil, away.jobClaims(clock.now(), nil)), ErrUnavailable)
	elsewhere := newProvider(t, key)
	elsewhere.fail(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, provider.URL+r.URL.Path, http.StatusFound)
		return true
	})
	works(t, elsewhere.workload(t, clock, requireSub("ci", "**")), key.sign(nil, elsewhere.jobClaims(clock.now(), nil)), ErrUnavailable)
	symmetric := newProvider(t, object{"kty": "oct", "kid": "k1", "k": encode([]byte("secret"))})
	works(t, symmetric.workload(t, clock, requireSub("ci", "**")), key.sign(nil, symmetric.jobClaims(clock.now(), nil)), ErrUnavailable)
}

func BenchmarkWorkload(b *testing.B) {
	key := newECKey("k1")
	provider, clock := newProvider(b, key), &testClock{}
	a := provider.workload(b, clock, requireSub("other", "repo:other/**"), requireSub("ci", "repo:corp/*:ref:refs/heads/main"))
	c := show(key.sign(nil, provider.jobClaims(clock.now(), nil)))
	b.Run("known", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.Authenticate(b.Context(), c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			a.tokens.Drop()
			if _, err := a.Authenticate(b.Context(), c); err != nil {
				b.Fatal(err)
			}
		}
	})
}
