package authn

import (
	"encoding/json"
	"reflect"
	"testing"
)

// What bounded a credential is not lost with the registry token that it was
// exchanged for.
func TestUnscoped(t *testing.T) {
	scope := []Limit{{Type: "registry", Name: "catalog", Actions: []string{"*"}}}
	for name, limits := range map[string][]Limit{
		"without limits":   nil,
		"good for nothing": {},
		"with limits":      {{Type: "repository", Name: "team/**", Actions: []string{"pull"}}},
	} {
		before := &Principal{Kind: KindUser, Name: "alice", Credential: "access_token", Limits: limits}
		if before.Unscoped() != before {
			t.Errorf("%s: only registry tokens have a scope", name)
		}
		data, err := json.Marshal(&RegistryClaims{Access: scope, Principal: NewRegistryPrincipal(before)})
		if err != nil {
			t.Fatal(err)
		}
		claims := new(RegistryClaims)
		if err := json.Unmarshal(data, claims); err != nil {
			t.Fatal(err)
		}
		p := claims.principal()
		if !reflect.DeepEqual(p.Limits, scope) {
			t.Errorf("%s: the token is good for %v", name, p.Limits)
		}
		if got := p.Unscoped().Limits; !reflect.DeepEqual(got, limits) || (got == nil) != (limits == nil) {
			t.Errorf("%s: before it was %#v, after %#v", name, limits, got)
		}
	}
	if (*Principal)(nil).Unscoped() != nil {
		t.Error("nobody became somebody")
	}
}
