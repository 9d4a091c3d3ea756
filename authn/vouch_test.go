package authn

import (
	"errors"
	"slices"
	"testing"
)

// keepsUsers stands for an authenticator of an issuer's users.
type keepsUsers struct {
	Authenticator
	issuer string
	gone   error
	groups []string
}

func (k *keepsUsers) Facts() Facts                          { return Facts{Identity: k.issuer} }
func (k *keepsUsers) Recheck(*Principal, *Credential) error { return k.gone }
func (k *keepsUsers) GroupsNow(*Principal) []string         { return k.groups }

func TestVouch(t *testing.T) {
	provider := &keepsUsers{issuer: "https://sso", groups: []string{"now"}}
	gone := &keepsUsers{gone: ErrDisabled}
	plain := &anyDirectory{}
	ch := NewChain([]Member{NewMember("provider", provider), NewMember("gone", gone), NewMember("plain", plain)}, nil)
	for _, test := range []struct {
		name, by, issuer string
		groups           []string
		err              error
	}{
		{"groups of now", "provider", "https://sso", []string{"now"}, nil},
		{"says no", "gone", "", nil, ErrDisabled},
		{"says nothing", "plain", "", []string{"then"}, nil},
		{"not configured any more", "removed", "", nil, ErrDisabled},
		{"another one has the issuer's users", "removed", "https://sso", []string{"now"}, nil},
		{"nobody has the issuer's users", "removed", "https://other", nil, ErrDisabled},
		{"nobody has seen them", "", "", []string{"then"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &Principal{Kind: KindUser, Name: "alice", Issuer: test.issuer, Authenticator: test.by, Groups: []string{"then"}}
			err := ch.Vouch(p, nil)
			if !errors.Is(err, test.err) || err == nil && !slices.Equal(p.Groups, test.groups) {
				t.Errorf("%v, groups %v", err, p.Groups)
			}
		})
	}
}

// TestSubjectsAreApart: the same subject at two services is two people, whose
// secrets are not each other's.
func TestSubjectsAreApart(t *testing.T) {
	service := newAskedService(t, says(200, `{"name":"a","subject":"42"}`))
	var seen []Identity
	for _, path := range []string{"/one", "/two"} {
		e, err := NewExternal(ExternalConfig{URL: service.URL + path}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewChain([]Member{NewMember(e.Name(), e)}, nil).Authenticate(t.Context(), basicPassword("a", "pw"))
		if err != nil || p.Issuer != e.Name() {
			t.Fatalf("%+v, %v", p, err)
		}
		seen = append(seen, p.Identity())
	}
	if seen[0] == seen[1] {
		t.Errorf("both are %v", seen[0])
	}
}
