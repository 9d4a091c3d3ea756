package state_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// TestTokenUnderAnotherName: an access token is a password under any user name
// but that of somebody else.
func TestTokenUnderAnotherName(t *testing.T) {
	st := gateway(t, memstore.New(), state.Options{})
	secret, hash := authn.NewSecret(authn.SecretPersonalToken)
	parsed, err := authn.ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	commit := func(change func(tx *state.Tx)) {
		t.Helper()
		var tx state.Tx
		change(&tx)
		if err := st.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
	}
	see := func(subject, name string) string {
		t.Helper()
		id, u, before, _ := st.See(&authn.Principal{Kind: authn.KindUser, Name: name, Issuer: "https://idp", Subject: subject})
		commit(func(tx *state.Tx) { st.PutUser(tx, id, u, before) })
		return id
	}
	alice := see("a", "alice")
	root := see("r", "admin")
	commit(func(tx *state.Tx) {
		state.Put(tx, st.Tokens, parsed.ID, &state.Token{User: alice, Name: "laptop", Hash: hash, Created: time.Now()}, state.Absent)
	})
	issued := authn.NewIssued(authn.SecretPersonalToken, st, nil)
	show := func(scheme authn.Scheme, username string, refused bool) {
		t.Helper()
		p, err := issued.Authenticate(t.Context(), &authn.Credential{Scheme: scheme, Username: username, Secret: secret})
		if errors.Is(err, authn.ErrInvalid) != refused || !refused && (err != nil || p.Name != "alice") {
			t.Errorf("%s %q: %v, %v", scheme, username, p, err)
		}
	}
	show(authn.SchemeBasic, "alice", false)
	show(authn.SchemeBasic, "", false)
	show(authn.SchemeBasic, "x-access-token", false)
	show(authn.SchemeBearer, "", false)
	show(authn.SchemeBasic, "admin", true)

	see("r", "root") // has another name now
	show(authn.SchemeBasic, "admin", false)
	show(authn.SchemeBasic, "root", true)
	see("2", "alice") // two of a name
	show(authn.SchemeBasic, "alice", false)
	commit(func(tx *state.Tx) {
		item, _ := st.Users.Get(root)
		state.Delete(tx, st.Users, root, state.Unchanged(item))
	})
	show(authn.SchemeBasic, "root", false)
}
