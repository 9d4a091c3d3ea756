package state_test

import (
	"errors"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// TestIdentityTokensKeepTheirLimits, and are good for their owner, as is what
// was got with them.
func TestIdentityTokensKeepTheirLimits(t *testing.T) {
	x := newLoginStage(t, state.LoginConfig{Rotate: true}, memstore.New())
	limits := []authn.Limit{{Type: "repository", Name: "team/**", Actions: []string{"pull"}}}
	for _, want := range [][]authn.Limit{limits, nil} {
		secret, err := x.logins.IssueFor(t.Context(), x.alice, "s1", want, x.from)
		if err != nil {
			t.Fatal(err)
		}
		p, err := x.show(secret)
		if err != nil || len(p.Limits) != len(want) || (p.Limits == nil) != (want == nil) {
			t.Fatalf("%+v, %v, want %v", p, err, want)
		}
		parsed, err := authn.ParseSecret(secret)
		if err != nil {
			t.Fatal(err)
		}
		got := func(name string, change func(*authn.Principal)) {
			t.Helper()
			r := *x.alice
			r.Origin, r.OriginID, r.CredentialID = "identity_token", parsed.ID, "jti"
			change(&r)
			err := x.logins.Recheck(&r, &authn.Credential{Remote: x.from.Remote})
			if good := name == "its owner" || name == "its owner, by itself"; (err == nil) != good || err != nil && !errors.Is(err, authn.ErrDisabled) {
				t.Errorf("%s: %v", name, err)
			}
		}
		got("its owner", func(*authn.Principal) {})
		got("its owner, by itself", func(p *authn.Principal) { p.Origin, p.OriginID, p.CredentialID = "", "", parsed.ID })
		got("somebody else", func(p *authn.Principal) { p.Subject = "b" })
		got("another token", func(p *authn.Principal) { p.OriginID = "x" })
		// A secret with its id, that it never had, neither is good nor ends it.
		next := x.exchange(secret)
		forged, _ := authn.RenewSecret(authn.SecretIdentityToken, parsed.ID)
		if _, err := x.show(forged); !errors.Is(err, authn.ErrInvalid) {
			t.Errorf("one that it never had: %v", err)
		}
		if _, err := x.show(next); err != nil {
			t.Errorf("it ended: %v", err)
		}
	}
	for name, c := range map[string]*authn.Credential{
		"as a password": {Scheme: authn.SchemeBasic, Username: "alice", Secret: x.issue()}, "as bearer": {Scheme: authn.SchemeBearer, Secret: x.issue()},
	} {
		if _, err := x.logins.Authenticate(t.Context(), c); !errors.Is(err, authn.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other, _ := authn.NewSecret(authn.SecretRobot)
	if _, err := x.show(other); !errors.Is(err, authn.ErrInvalid) {
		t.Errorf("a robot's secret: %v", err)
	}
	if _, err := x.logins.Authenticate(t.Context(), &authn.Credential{Scheme: authn.SchemeBasic, Username: "alice", Secret: other}); !errors.Is(err, authn.ErrNotMine) {
		t.Errorf("a robot's secret as a password: %v", err)
	}
	if x.logins.OwnsScheme(authn.SchemeBasic) || !x.logins.OwnsScheme(authn.SchemeIdentityToken) {
		t.Error("owns another scheme")
	}
}
