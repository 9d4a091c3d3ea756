package authn

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// vouching says who it is, with a credential or, as ambientVouching, without.
type vouching struct {
	p   *Principal
	err error
}

func (v vouching) Authenticate(context.Context, *Credential) (*Principal, error) { return v.p, v.err }

type ambientVouching struct{ vouching }

func (a ambientVouching) AuthenticateAmbient(context.Context, *Credential) (*Principal, error) {
	return a.p, a.err
}

// TestAdmissionHasTheLastWord on everybody but nobody, with a credential and
// without.
func TestAdmissionHasTheLastWord(t *testing.T) {
	alice := &Principal{Kind: KindUser, Name: "alice"}
	for name, c := range map[string]struct {
		a        Authenticator
		shown    *Credential
		asked    bool
		verdict  error
		identity string
	}{
		"with a credential":    {vouching{p: alice}, &Credential{Scheme: SchemeBasic, Username: "alice", Secret: "x"}, true, nil, "alice"},
		"one who is refused":   {vouching{p: alice}, &Credential{Scheme: SchemeBasic, Username: "alice", Secret: "x"}, true, ErrDisabled, ""},
		"without a credential": {ambientVouching{vouching{p: alice}}, &Credential{Evidence: &Evidence{}}, true, nil, "alice"},
		"refused without one":  {ambientVouching{vouching{p: alice}}, &Credential{Evidence: &Evidence{}}, true, ErrDisabled, ""},
		"without evidence":     {ambientVouching{vouching{p: alice}}, &Credential{}, false, ErrDisabled, ""},
		"nobody":               {ambientVouching{vouching{err: ErrNotMine}}, &Credential{Evidence: &Evidence{}}, false, ErrDisabled, ""},
	} {
		chain, asked := NewChain([]Member{NewMember("m", c.a)}, nil), false
		chain.Admit(func(*Principal) error { asked = true; return c.verdict })
		p, err := chain.Authenticate(t.Context(), c.shown)
		if asked != c.asked {
			t.Errorf("%s: asked %v", name, asked)
		}
		if c.asked && !errors.Is(err, c.verdict) || !c.asked && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (p.Name != c.identity || p.IsAnonymous() != (c.identity == "")) {
			t.Errorf("%s: %v", name, p)
		}
		if err != nil && p != nil {
			t.Errorf("%s: refused, and %v", name, p)
		}
	}
	failing := NewChain([]Member{NewMember("m", ambientVouching{vouching{err: ErrUnavailable}})}, nil)
	if p, err := failing.Authenticate(t.Context(), &Credential{Evidence: &Evidence{}}); !errors.Is(err, ErrUnavailable) || p != nil {
		t.Errorf("one that fails makes nobody: %v, %v", p, err)
	}
	if !failing.WantsEvidence() || NewChain([]Member{NewMember("m", vouching{})}, nil).WantsEvidence() {
		t.Error("who looks at evidence")
	}
}

// TestChainChecksNames of whoever vouches, and tells authenticators apart.
func TestChainChecksNames(t *testing.T) {
	shown := &Credential{Scheme: SchemeBasic, Username: "x", Secret: "x"}
	ask := func(p *Principal) (*Principal, error) {
		return NewChain([]Member{NewMember("m", vouching{p: p})}, nil).Authenticate(t.Context(), shown)
	}
	for _, name := range []string{"robot$ci", "a,b", "robot:ci", "a b", ""} {
		if p, err := ask(&Principal{Kind: KindUser, Name: name}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v, %v", name, p, err)
		}
	}
	if _, err := ask(nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("no principal: %v", err)
	}
	for _, c := range []struct{ given, want Principal }{
		{Principal{}, Principal{Authenticator: "m"}},
		{Principal{Authenticator: "own"}, Principal{Authenticator: "own"}},
		{Principal{Subject: "1"}, Principal{Authenticator: "m", Issuer: "m"}},
		{Principal{Subject: "1", Authenticator: "own"}, Principal{Authenticator: "own", Issuer: "own"}},
		{Principal{Subject: "1", Issuer: "https://idp"}, Principal{Authenticator: "m", Issuer: "https://idp"}},
	} {
		c.given.Kind, c.given.Name = KindUser, "alice"
		p, err := ask(&c.given)
		if err != nil || p.Authenticator != c.want.Authenticator || p.Issuer != c.want.Issuer {
			t.Errorf("%+v: %+v, %v", c.given, p, err)
		}
	}
	chain := NewChain([]Member{NewMember("m", vouching{p: &Principal{Kind: KindUser, Name: "alice"}})}, nil)
	for name, c := range map[string]Credential{
		"no secret": {Username: "a"}, "a long secret": {Username: "a", Secret: strings.Repeat("x", MaxCredential+1)},
		"a long name": {Username: strings.Repeat("x", maxUsername+1), Secret: "x"}, "bytes": {Username: "\xff", Secret: "x"}, "a line": {Username: "a\n", Secret: "x"},
	} {
		c.Scheme = SchemeBasic
		if p, err := chain.Authenticate(t.Context(), &c); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	for name, c := range map[string]Credential{
		"as long a secret": {Username: "a", Secret: strings.Repeat("x", MaxCredential)}, "as long a name": {Username: strings.Repeat("x", maxUsername), Secret: "x"},
	} {
		c.Scheme = SchemeBasic
		if _, err := chain.Authenticate(t.Context(), &c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
