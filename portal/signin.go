package portal

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// signIn lets people choose where to sign in, if there is a choice, and sends
// them there.
func (x *exchange) signIn() error {
	p := x.portal
	base, secure, err := p.base(x.r)
	if err != nil {
		return err
	}
	back := localPath(x.r.URL.Query().Get("return_to"), p.prefix)
	if x.session != nil {
		http.Redirect(x.w, x.r, back, http.StatusSeeOther)
		return nil
	}
	if !navigates(x.r) {
		return errSignIn
	}
	// The cookies must be set on the host that the provider sends back to. A
	// proxy may call us by another name: once is enough.
	if u, err := url.Parse(base); err == nil && u.Host != x.r.Host && !x.r.URL.Query().Has("moved") {
		http.Redirect(x.w, x.r, base+x.path("sign-in")+"?moved=1&return_to="+url.QueryEscape(back), http.StatusSeeOther)
		return nil
	}
	// Whoever wanted a page and has no choice is not asked.
	if len(p.providers) == 1 && x.r.URL.Query().Has("return_to") {
		return x.send(p.providers[0], base, secure, back)
	}
	return x.showProviders(back)
}

// start begins an attempt to sign in at a provider.
func (x *exchange) start() error {
	p := x.portal
	base, secure, err := p.base(x.r)
	if err != nil {
		return err
	}
	if !navigates(x.r) {
		return errSignIn
	}
	id, _ := strings.CutPrefix(x.r.URL.Path, x.path("sign-in/"))
	to := p.provider(strings.TrimPrefix(id, "at/"))
	if id == "here" {
		to = p.provider("")
	}
	if to == nil {
		return errNotFound
	}
	return x.send(to, base, secure, localPath(x.r.URL.Query().Get("return_to"), p.prefix))
}

func (x *exchange) send(to *provider, base string, secure bool, back string) error {
	a := newAttempt(to.id, back, x.portal.options.Now())
	a.Device = x.approves(back)
	return x.sendWith(a, to, base, secure)
}

// sendWith sends the browser to the provider for an attempt.
func (x *exchange) sendWith(a *attempt, to *provider, base string, secure bool) error {
	address, err := to.SignInURL(x.r.Context(), x.portal.request(a, to, base))
	if err != nil {
		x.portal.options.Log.Warn("sign-in cannot begin", "issuer", to.Config().Issuer, "error", err)
		return &providerError{provider: to, err: err}
	}
	if err := a.keep(x.w, x.r, secure); err != nil {
		return err
	}
	http.Redirect(x.w, x.r, address, http.StatusSeeOther)
	return nil
}

// request is what the provider is asked, and what its answer must fit.
func (p *Portal) request(a *attempt, to *provider, base string) authn.SignInRequest {
	return authn.SignInRequest{
		RedirectURI: base + p.prefix + to.callback(), State: a.state(), Nonce: a.nonce(), Verifier: a.verifier(),
		Again: a.Confirms != "" || a.Device,
	}
}

// callback is the page that the provider sends people back to. Each provider
// has its own, so that the answer of one is never taken for another's (RFC
// 9700 §4.4).
func (to *provider) callback() string {
	if to.id == "" {
		return "callback"
	}
	return "callback/" + to.id
}

// start returns the page that begins a sign-in at the provider.
func (to *provider) start() string {
	if to.id == "" {
		return "sign-in/here"
	}
	return "sign-in/at/" + to.id
}

// callback takes the provider's answer.
func (x *exchange) callback() error {
	p := x.portal
	base, secure, err := p.base(x.r)
	if err != nil {
		return err
	}
	q := x.r.URL.Query()
	for _, once := range []string{"state", "code", "iss", "error"} {
		if len(q[once]) > 1 {
			return errStale
		}
	}
	a := takeAttempt(x.w, x.r, q.Get("state"), secure, p.options.Now())
	if a == nil || !p.used.use(a, p.options.Now()) {
		return errStale
	}
	signedIn := false
	defer func() {
		if !signedIn {
			p.used.forget(a)
		}
	}()
	id, _ := strings.CutPrefix(strings.TrimPrefix(x.r.URL.Path, x.path("callback")), "/")
	from := p.provider(id)
	if from == nil || a.Provider != id {
		return errStale // an answer of another provider than was asked
	}
	refused := func(err error) error {
		p.options.Log.Warn("sign-in refused", "issuer", from.Config().Issuer, "error", err, "client_ip", x.client().remote.String())
		return &providerError{provider: from, err: err}
	}
	if err := from.CheckAnswerIssuer(x.r.Context(), q["iss"]); err != nil {
		return refused(err)
	}
	if code := q.Get("error"); code != "" {
		return refused(&answerError{code: code, description: q.Get("error_description")})
	}
	in, err := from.SignIn(x.r.Context(), p.request(a, from, base), q.Get("code"))
	if err != nil {
		return refused(err)
	}
	if a.Confirms != "" {
		return x.signedInAgain(a, in)
	}
	secret, err := p.options.Sessions.begin(x.r.Context(), in, x.client(), x.session, !secure)
	if err != nil {
		return refused(err)
	}
	signedIn = true
	setCookie(x.w, p.options.Sessions.cookie, secret, secure, p.options.Sessions.lifetime())
	if a.Device {
		return x.deviceFirst(a, in, secret, !secure)
	}
	http.Redirect(x.w, x.r, localPath(a.Return, p.prefix), http.StatusSeeOther)
	return nil
}
