package portal

import (
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// health shows administrators how the gateway is.
func (x *exchange) health() error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	if !m.Self(who).Admin {
		return &management.Error{Code: management.CodeForbidden, Detail: txtAdminsOnly}
	}
	h := m.Health()
	store := cell{Text: txtStoreReady, Badge: "good", Sub: h.Since.UTC().Format("2006-01-02 15:04 MST")}
	if h.Status != "ok" {
		store = cell{Text: storeTexts[state.Condition(h.Store)], Badge: "bad", Sub: h.Since.UTC().Format("2006-01-02 15:04 MST")}
	}
	facts := []fact{{txtStoreState, store}}
	if h.Superseded > 0 {
		facts = append(facts, fact{txtNotInForce, cell{Text: sprintf("%d", h.Superseded), Badge: "warn", Sub: txtNotInForceSub}})
	}
	for _, p := range x.portal.providers {
		state := cell{Text: txtProviderReady, Badge: "good"}
		if err := p.Reachable(x.r.Context()); err != nil {
			state = cell{Text: txtProviderAway, Badge: "bad", Sub: err.Error()}
		}
		facts = append(facts, fact{p.name, state})
	}
	counts := []fact{}
	st := x.portal.options.State
	for _, c := range []struct {
		name string
		n    int
	}{{txtUsers, count(st.Users)}, {txtBrowsers, count(st.Sessions)}, {txtTokens, count(st.Tokens)}, {txtLogins, count(st.IdentityTokens)}, {txtRobots, count(st.Robots)}, {txtProjects, count(st.Projects)}} {
		counts = append(counts, fact{c.name, cell{Text: sprintf("%d", c.n)}})
	}
	return x.show(view{Title: txtHealth, Lead: txtHealthLead, Blocks: []block{{Heading: txtHealthNow, Facts: facts}, {Heading: txtStored1, Facts: counts}}})
}

// storeTexts say what is wrong with a store.
var storeTexts = map[state.Condition]string{
	state.StoreAway: txtStoreAway, state.StoreStale: txtStoreStale, state.StoreDamaged: txtStoreDamaged,
	state.StoreFull: txtStoreFull, state.StoreReadOnly: txtStoreReadOnly,
}

// count returns how many records there are.
func count[T any](t *state.Table[T]) (n int) {
	for range t.All() {
		n++
	}
	return n
}
