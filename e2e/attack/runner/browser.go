package runner

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
)

// attempt is a sign-in that a browser has begun: where it was sent, and with
// which cookies.
type attempt struct{ address, cookies string }

// state is the attempt's parameter of that name.
func (a *attempt) state() (string, error) {
	u, err := url.Parse(a.address)
	if err != nil {
		return "", err
	}
	return u.Query().Get("state"), nil
}

// browser returns what browsers have, and what providers send them back with.
func (r *Runner) browser(ctx context.Context, what, mutation, person string) (string, error) {
	switch what {
	case "session":
		value, err := r.session(ctx, person)
		return r.sessionCookie + "=" + value, err
	case "sessionvalue":
		return r.session(ctx, person)
	case "csrf":
		return r.csrf(ctx, person)
	case "code-badnonce":
		return r.code(ctx, "alice", jose.Object{"nonce": "of another sign-in"})
	case "code":
		claim, value, ok := strings.Cut(mutation, "=")
		if !ok {
			return r.code(ctx, person, nil)
		}
		return r.code(ctx, person, jose.Object{claim: parseValue(value)})
	}
	a, err := r.attempt(ctx, person)
	if err != nil {
		return "", err
	}
	switch what {
	case "state-used":
		if err := r.useUp(ctx, a, person); err != nil {
			return "", err
		}
		return a.state()
	case "state":
		return a.state()
	}
	return a.cookies, nil
}

// attempt is somebody's sign-in in this row.
func (r *Runner) attempt(ctx context.Context, who string) (*attempt, error) {
	if a, ok := r.attempts[who]; ok {
		return a, nil
	}
	begun, err := r.visit(ctx, "/auth/sign-in?return_to=/auth/", "")
	if err != nil {
		return nil, err
	}
	a := begunBy(begun)
	r.attempts[who] = a
	return a, nil
}

// begunBy is the sign-in that an answer begins.
func begunBy(a *answer) *attempt {
	var cookies []string
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	return &attempt{address: a.header.Get("Location"), cookies: strings.Join(cookies, "; ")}
}

// code is what the provider sends somebody back with; more are claims that the
// ID token is to have besides the usual ones.
func (r *Runner) code(ctx context.Context, person string, more jose.Object) (string, error) {
	a, err := r.attempt(ctx, person)
	if err != nil {
		return "", err
	}
	return r.codeFor(a, person, more)
}

func (r *Runner) codeFor(a *attempt, person string, more jose.Object) (string, error) {
	claims, err := r.stage.Claims(person)
	if err != nil {
		return "", err
	}
	for name, value := range more {
		claims = claims.With(name, value)
	}
	return r.stage.IdP.Authorize(a.address, claims)
}

// useUp ends a sign-in as it should, in the browser that began it.
func (r *Runner) useUp(ctx context.Context, a *attempt, person string) error {
	done, err := r.comeBack(ctx, a, person)
	if err == nil && done.status != http.StatusSeeOther {
		err = fmt.Errorf("sign %s in: %d", person, done.status)
	}
	return err
}

// session signs somebody in and returns the session cookie's value.
func (r *Runner) session(ctx context.Context, person string) (string, error) {
	if value, ok := r.sessions[person]; ok {
		// Later sign-ins of the same person may have taken its place.
		if _, err := r.csrfOf(ctx, value); err == nil {
			return value, nil
		}
	}
	begun, err := r.visit(ctx, "/auth/sign-in?return_to=/auth/", "")
	if err != nil {
		return "", err
	}
	done, err := r.comeBack(ctx, begunBy(begun), person)
	if err != nil {
		return "", err
	}
	for _, c := range (&http.Response{Header: done.header}).Cookies() {
		if c.Name == r.sessionCookie && c.Value != "" {
			r.sessions[person] = c.Value
			return r.secret(c.Value, nil)
		}
	}
	return "", fmt.Errorf("sign %s in: %d, no session", person, done.status)
}

// comeBack is the way back from the provider to the gateway.
func (r *Runner) comeBack(ctx context.Context, a *attempt, person string) (*answer, error) {
	code, err := r.codeFor(a, person, nil)
	if err != nil {
		return nil, err
	}
	state, err := a.state()
	if err != nil {
		return nil, err
	}
	return r.visit(ctx, "/auth/callback?"+url.Values{"code": {code}, "state": {state}}.Encode(), a.cookies)
}

// finish goes on with the sign-in that an answer begins, if it begins one, and
// returns where it ends.
func (r *Runner) finish(ctx context.Context, begun *answer) (string, error) {
	if begun.status >= http.StatusBadRequest {
		return "", nil
	}
	done, err := r.comeBack(ctx, begunBy(begun), "alice")
	if err != nil {
		return "", err
	}
	if done.status != http.StatusSeeOther {
		return "", fmt.Errorf("the sign-in ends with %d", done.status)
	}
	return done.header.Get("Location"), nil
}

func (r *Runner) csrf(ctx context.Context, person string) (string, error) {
	value, err := r.session(ctx, person)
	if err != nil {
		return "", err
	}
	return r.csrfOf(ctx, value)
}

func (r *Runner) csrfOf(ctx context.Context, session string) (string, error) {
	var answer struct{ Token string }
	err := r.fetch(ctx, http.MethodGet, "/auth/csrf", http.Header{"Cookie": {r.sessionCookie + "=" + session}}, "", &answer)
	return answer.Token, err
}

// visit opens a page.
func (r *Runner) visit(ctx context.Context, path, cookies string) (*answer, error) {
	q := &request{method: http.MethodGet, target: path, headers: [][2]string{{"Accept", "text/html"}}}
	if cookies != "" {
		q.headers = append(q.headers, [2]string{"Cookie", cookies})
	}
	return r.send(ctx, q, net.IPv4(127, 202, 0, 1))
}

// keptSession checks that a sign-in made a session of its own.
func (o *outcome) keptSession(planted string) (string, error) {
	for _, c := range (&http.Response{Header: o.answer.header}).Cookies() {
		if c.Name == o.sessionCookie {
			return found(c.Value == planted || c.Value == "", "the session is %q", c.Value)
		}
	}
	return "no session was made", nil
}
