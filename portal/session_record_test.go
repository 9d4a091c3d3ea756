package portal_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// theUser is the only user who is stored.
func (f *front) theUser() *state.Item[state.User] {
	f.Helper()
	var found *state.Item[state.User]
	for item := range f.state.Users.All() {
		if found != nil {
			f.Fatal("there are several users")
		}
		found = item
	}
	return found
}

// TestAdmissionIsForSessions: whoever the realm does not admit gets none, and
// one that goes on ends.
func TestAdmissionIsForSessions(t *testing.T) {
	f := newFront(t)
	refused := false
	f.admits = func(p *authn.Principal) error {
		if refused {
			return authn.ErrDisabled
		}
		return nil
	}
	f.open(t, f.provider(t, authn.OIDCConfig{Issuer: f.idp.URL, ClientID: "registry", SignInConfig: authn.SignInConfig{ClientSecret: "hunter2"}}))
	p := f.browser()
	p.signIn()
	h := http.Header{"Cookie": {"registry_session=" + p.sessionCookie()}}
	if _, err := f.sessions.AuthenticateAmbient(t.Context(), &authn.Credential{Evidence: &authn.Evidence{Header: h, Method: http.MethodGet}}); err != nil {
		t.Fatal(err)
	}
	refused = true
	if who, err := f.sessions.AuthenticateAmbient(t.Context(), &authn.Credential{Evidence: &authn.Evidence{Header: h, Method: http.MethodGet}}); err == nil {
		t.Errorf("the session of %s goes on", who)
	}
	other := f.browser()
	other.refused(other.get("/auth/"), http.StatusForbidden, "")
}

// TestSigningInIsWrittenDown: what the provider has just said is what counts
// from then on.
func TestSigningInIsWrittenDown(t *testing.T) {
	f := newFront(t)
	f.idp.set(func() { f.idp.person["email"] = "alice@example.com" })
	p := f.browser()
	p.signIn()
	first := f.theUser()
	if first.Value.Email != "alice@example.com" || first.Value.Provider == nil {
		t.Fatalf("%+v", first.Value)
	}
	// The provider said that the user was gone, and says otherwise now; the
	// address is too long to be one.
	next := *first.Value
	next.Gone = true
	var tx state.Tx
	state.Put(&tx, f.state.Users, first.ID, &next, state.Unchanged(first))
	if err := f.state.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	f.idp.set(func() { f.idp.person["email"] = strings.Repeat("a", 250) + "@x.com" })
	again := f.browser()
	again.signIn()
	second := f.theUser()
	if second.Value.Gone || second.Value.Email != "alice@example.com" || string(second.Value.Provider.Sealed) == string(first.Value.Provider.Sealed) {
		t.Errorf("%+v", second.Value)
	}
	// Signing in again for a confirmation gives a new refresh token, and the
	// provider's session may be another one.
	f.idp.set(func() { f.idp.person["sid"] = "s2" })
	if again.get(again.proposed(aToken)).confirmation() == nil {
		t.Fatal("not confirmed")
	}
	third := f.theUser()
	token := func(item *state.Item[state.User]) string {
		plain, err := f.sealer.Open(item.Value.Provider.Sealed, state.ProviderPlace(item.ID))
		if err != nil {
			t.Fatal(err)
		}
		return string(plain)
	}
	if token(third) == token(second) || !strings.HasPrefix(token(third), "rt-") || third.Value.Provider.Checked.Before(second.Value.Provider.Checked) {
		t.Errorf("the refresh token is %q, was %q", token(third), token(second))
	}
	for item := range f.state.Sessions.All() {
		if item.Value.ProviderSession == "s2" {
			return
		}
	}
	t.Error("the provider's session is not known")
}
