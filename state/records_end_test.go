package state_test

import (
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// TestRecordsEnd at their time to the moment, and those that rest before it.
func TestRecordsEnd(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for name, test := range map[string]struct {
		expires, used time.Duration // from now
		idle          time.Duration
		want          bool
	}{
		"goes on":          {time.Hour, 0, time.Hour, false},
		"just before":      {1, 0, time.Hour, false},
		"at its end":       {0, 0, time.Hour, true},
		"after it":         {-1, 0, time.Hour, true},
		"has rested":       {time.Hour, -time.Hour - 1, time.Hour, true},
		"as long as it":    {time.Hour, -time.Hour, time.Hour, false},
		"may rest":         {time.Hour, -1000 * time.Hour, 0, false},
		"may rest, at end": {0, 0, 0, true},
	} {
		expires, used := now.Add(test.expires), now.Add(test.used)
		if got := (&state.IdentityToken{Expires: expires, Used: used, Idle: test.idle}).Ended(now); got != test.want {
			t.Errorf("an identity token that %s: %v", name, got)
		}
		if got := (&state.Session{Expires: expires, Used: used, Idle: test.idle}).Ended(now); got != test.want {
			t.Errorf("a session that %s: %v", name, got)
		}
		if over := test.expires <= 0; (&state.DeviceLogin{Expires: expires}).Ended(now) != over || (&state.Confirmation{Expires: expires}).Ended(now) != over {
			t.Errorf("a login or form that %s: want %v", name, over)
		}
	}
}

// TestIdentityTokensAreRevoked by whoever shows one whole, and by nobody else;
// clients that are to be the same may be, and others are not asked about.
func TestIdentityTokensAreRevoked(t *testing.T) {
	for _, c := range []state.LoginConfig{{SameClient: true}, {}} {
		x := newLoginStage(t, c, memstore.New())
		secret := x.issue()
		p, err := x.show(secret)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.logins.ExchangeIdentityToken(t.Context(), p, secret, x.from); err != nil {
			t.Errorf("the same client: %v", err)
		}
		other := x.from
		if other.ClientID = "crane"; !c.SameClient {
			if _, err := x.logins.ExchangeIdentityToken(t.Context(), p, secret, other); err != nil {
				t.Errorf("another client: %v", err)
			}
		}
		if other.Service = "other.test"; true {
			if _, err := x.logins.ExchangeIdentityToken(t.Context(), p, secret, other); err == nil {
				t.Error("exchanged for another service")
			}
		}
		parsed, err := authn.ParseSecret(secret)
		if err != nil {
			t.Fatal(err)
		}
		forged, _ := authn.RenewSecret(authn.SecretIdentityToken, parsed.ID)
		for name, wrong := range map[string]string{"a secret with the same id": forged, "nothing": "", "a password": "hunter2"} {
			if err := x.logins.Revoke(t.Context(), wrong, x.from); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := x.show(secret); err != nil {
				t.Fatalf("%s revoked it: %v", name, err)
			}
		}
		if _, err := x.show(forged); err == nil {
			t.Error("a secret with the same id is good")
		}
		if err := x.logins.Revoke(t.Context(), secret, x.from); err != nil {
			t.Fatal(err)
		}
		if _, err := x.show(secret); err == nil {
			t.Error("not revoked")
		}
	}
}

// TestManyRotations: of those that were replaced the newest are recognised.
func TestManyRotations(t *testing.T) {
	x := newLoginStage(t, state.LoginConfig{Rotate: true}, memstore.New())
	secrets := []string{x.issue()}
	for range 12 {
		secrets = append(secrets, x.exchange(secrets[len(secrets)-1]))
	}
	if _, err := x.show(secrets[2]); err == nil {
		t.Error("one of long ago is good")
	}
	if _, err := x.show(secrets[12]); err != nil {
		t.Errorf("one of long ago, which nobody knows any more, ends the token: %v", err)
	}
	if _, err := x.show(secrets[11]); err != nil {
		t.Errorf("one that was just replaced: %v", err)
	}
	x.advance(time.Minute)
	if _, err := x.show(secrets[5]); err == nil {
		t.Error("one that was replaced a minute ago is good")
	}
	if _, err := x.show(secrets[12]); err == nil {
		t.Error("the token goes on although a replaced one was shown")
	}
}

// TestTidyTakesWhatIsOver, and leaves what goes on.
func TestTidyTakesWhatIsOver(t *testing.T) {
	now := time.Unix(1_700_000_000, 0).UTC()
	st := gateway(t, memstore.New(), state.Options{Now: func() time.Time { return now }})
	const day = 24 * time.Hour
	var tx state.Tx
	for id, over := range map[string]time.Duration{"on": time.Second, "over": -time.Second} {
		at := now.Add(over)
		state.Put(&tx, st.Sessions, id, &state.Session{Expires: at}, state.Absent)
		state.Put(&tx, st.DeviceLogins, id, &state.DeviceLogin{Expires: at}, state.Absent)
		state.Put(&tx, st.Confirmations, id, &state.Confirmation{Expires: at}, state.Absent)
		state.Put(&tx, st.IdentityTokens, id, &state.IdentityToken{Expires: at}, state.Absent)
		state.Put(&tx, st.Tokens, id, &state.Token{Expires: at.Add(-30 * day)}, state.Absent)
		state.Put(&tx, st.APIKeys, id, &state.APIKey{Expires: at.Add(-30 * day)}, state.Absent)
		state.Put(&tx, st.Once, id, &state.Once{Until: at}, state.Absent)
		state.Put(&tx, st.Revocations, id, &state.Revocation{Until: at}, state.Absent)
	}
	state.Put(&tx, st.Tokens, "lasting", &state.Token{}, state.Absent)
	state.Put(&tx, st.APIKeys, "lasting", &state.APIKey{}, state.Absent)
	state.Put(&tx, st.Revocations, "lasting", &state.Revocation{}, state.Absent)
	state.Put(&tx, st.Owners, "repository/pending", &state.Owner{Pending: true, Since: now.Add(-1000 * day)}, state.Absent)
	state.Put(&tx, st.Owners, "repository/new", &state.Owner{Pending: true, Since: now}, state.Absent)
	state.Put(&tx, st.Owners, "repository/settled", &state.Owner{Since: now.Add(-1000 * day)}, state.Absent)
	if err := st.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	st.Tidy(t.Context())
	there := map[string]func(string) bool{
		"session":        func(id string) bool { _, ok := st.Sessions.Get(id); return ok },
		"device login":   func(id string) bool { _, ok := st.DeviceLogins.Get(id); return ok },
		"confirmation":   func(id string) bool { _, ok := st.Confirmations.Get(id); return ok },
		"identity token": func(id string) bool { _, ok := st.IdentityTokens.Get(id); return ok },
		"token":          func(id string) bool { _, ok := st.Tokens.Get(id); return ok },
		"key":            func(id string) bool { _, ok := st.APIKeys.Get(id); return ok },
		"once":           func(id string) bool { _, ok := st.Once.Get(id); return ok },
		"revocation":     func(id string) bool { _, ok := st.Revocations.Get(id); return ok },
	}
	for kind, is := range there {
		if !is("on") || is("over") {
			t.Errorf("%s: the one that goes on is there: %v, the other: %v", kind, is("on"), is("over"))
		}
	}
	owner := func(id string) bool { _, ok := st.Owners.Get("repository/" + id); return ok }
	if !there["token"]("lasting") || !there["key"]("lasting") || !there["revocation"]("lasting") || owner("pending") || !owner("new") || !owner("settled") {
		t.Error("what has no end is gone, or an owner stays who never came")
	}
}
