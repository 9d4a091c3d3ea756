package portal

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// who says who may ask for a route. What a person may do there is decided by
// the operations and the policy, not by pages.
type who int

const (
	anyone who = iota // signed in or not
	signedIn
)

// route is a page or what a form leads to.
type route struct {
	method, path string // below the prefix
	for_         who
	serve        func(*exchange) error
	machine      bool // what calls it is no browser and shows no session
	// proposal says what a form would create. Such a form is only carried out
	// after the person has signed in again and confirmed that.
	proposal func(*exchange) (*proposal, error)
}

// exchange is one request for a page.
type exchange struct {
	portal *Portal
	w      http.ResponseWriter
	r      *http.Request

	session *Session // nil: not signed in
	lost    error    // why a session that was shown is none
	fresh   bool     // the person has just confirmed the form
}

func (p *Portal) addRoutes() {
	p.routes = p.allRoutes()
	for _, at := range p.routes {
		p.mux.HandleFunc(at.method+" "+p.prefix+at.path, func(w http.ResponseWriter, r *http.Request) { p.serve(at, w, r) })
	}
	p.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{portal: p, w: w, r: r}
		x.session, x.lost = p.options.Sessions.find(r.Header)
		p.fail(x, errNotFound)
	})
}

// serve lets a request through to a route.
func (p *Portal) serve(at route, w http.ResponseWriter, r *http.Request) {
	x := &exchange{portal: p, w: w, r: r}
	if err := x.admit(at); err != nil {
		p.fail(x, err)
		return
	}
	serve := at.serve
	if at.proposal != nil {
		serve = func(x *exchange) error { return x.propose(at) }
	}
	if err := serve(x); err != nil {
		p.fail(x, err)
	}
}

// maxForm is how long a form may be, in bytes.
const maxForm = 64 << 10

// admit finds the session and sees that the request may come in.
func (x *exchange) admit(at route) error {
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, maxForm)
	writes := at.method == http.MethodPost
	if writes {
		kind, _, _ := strings.Cut(x.r.Header.Get("Content-Type"), ";")
		if kind != "application/x-www-form-urlencoded" || x.r.ParseForm() != nil {
			return errForm
		}
	}
	if at.machine {
		return nil
	}
	var err error
	if x.session, err = x.portal.options.Sessions.find(x.r.Header); err != nil {
		x.session = nil
		if !errors.Is(err, errNoSession) {
			x.lost = err
		}
	}
	if at.for_ == signedIn && x.session == nil {
		return errSignIn
	}
	if !writes {
		if x.session != nil {
			x.portal.options.Sessions.touch(x.session.ID, x.session.Record)
		}
		return nil
	}
	if x.session == nil || !x.session.goodToken(x.r.PostForm.Get("csrf")) {
		return errCrossSite
	}
	x.portal.options.Sessions.touch(x.session.ID, x.session.Record)
	return nil
}

// client is from where the request comes.
func (x *exchange) client() client {
	c := client{agent: x.r.UserAgent()}
	if x.portal.options.Remote != nil {
		c.remote = x.portal.options.Remote(x.r)
	}
	if x.portal.options.RequestID != nil {
		c.requestID = x.portal.options.RequestID(x.r)
	}
	return c
}

// path returns the path of a page.
func (x *exchange) path(page string) string { return x.portal.prefix + page }

// go_ sends the browser to a page after a form.
func (x *exchange) goTo(page string) error {
	http.Redirect(x.w, x.r, x.path(page), http.StatusSeeOther)
	return nil
}

// navigates reports whether a browser wants a page to show, and not a program
// an answer: only then is there a redirect or HTML.
func navigates(r *http.Request) bool {
	if r.Method == http.MethodPost {
		mode := r.Header.Get("Sec-Fetch-Mode")
		return mode == "navigate" || mode == "" && strings.Contains(r.Header.Get("Accept"), "text/html")
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// principal returns who is signed in, nobody if nobody is.
func (x *exchange) principal() *authn.Principal {
	if x.session == nil {
		return authn.Anonymous
	}
	return x.session.Principal
}

// Route is a page, or what a form leads to, for who checks them all.
type Route struct {
	Method string
	// Path below the prefix, as [net/http.ServeMux] patterns have it.
	Path string
	// Machine: what calls it is no browser and shows no session.
	Machine bool
}

// Routes returns all routes.
func (p *Portal) Routes() []Route {
	list := make([]Route, len(p.routes))
	for i, r := range p.routes {
		list[i] = Route{r.method, r.path, r.machine}
	}
	return list
}

// IsWorker reports whether a browser fetches the program of a service worker
// (Service Workers §4.4). One that is served beside the pages, on their host,
// could read and answer what they show in every tab from then on.
func IsWorker(r *http.Request) bool { return len(r.Header["Service-Worker"]) > 0 }
