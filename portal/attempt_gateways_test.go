package portal_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// another is a second gateway on the same store, behind the same address.
func (f *front) another() *front {
	f.Helper()
	b := &front{T: f.T, idp: f.idp, graph: f.graph, sealer: f.sealer, public: f.URL}
	var err error
	if b.state, err = state.Open(f.Context(), f.store, "default", state.Options{Now: b.now}); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(b.state.Close)
	c := authn.OIDCConfig{Issuer: f.idp.URL, ClientID: "registry", SignInConfig: authn.SignInConfig{ClientSecret: "hunter2"}}
	b.open(f.T, b.provider(f.T, c))
	return b
}

// TestAnswerIsGoodOnceOnAllGateways: the provider's answer is taken by one gateway,
// whichever it is, and then by none, also with the cookies that the browser had
// before, and by one that was started since.
func TestAnswerIsGoodOnceOnAllGateways(t *testing.T) {
	a := newFront(t)
	b := a.another()
	show := func(at *front, answer string, cookies []*http.Cookie) int {
		r, w := httptest.NewRequest(http.MethodGet, answer, nil), httptest.NewRecorder()
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		for _, c := range cookies {
			r.AddCookie(c)
		}
		at.portal.ServeHTTP(w, r)
		return w.Code
	}
	for _, order := range [][]*front{{a, b, b, a}, {b, a, a, b}} {
		p := a.browser()
		answer := p.answer(start)
		cookies := p.cookies()
		u, err := url.Parse(answer)
		if err != nil {
			t.Fatal(err)
		}
		code := u.Query().Get("code")
		asked := a.idp.codes[code]
		for i, at := range append(order, a.another()) {
			want := http.StatusBadRequest
			if i == 0 {
				want = http.StatusSeeOther
			}
			a.idp.set(func() { a.idp.codes[code] = asked }) // a provider that forgets that it was used
			if got := show(at, answer, cookies); got != want {
				t.Errorf("shown the %d. time: %d, want %d", i+1, got, want)
			}
		}
	}
}
