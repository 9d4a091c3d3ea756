package idp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// Person is somebody with a browser who is signed in at a gateway's pages.
type Person struct {
	gateway string
	client  *http.Client
	user    string // who signed in
}

// NewPerson is somebody with a browser who has been nowhere yet.
func NewPerson(gateway string) (*Person, error) {
	jar, err := cookiejar.New(nil)
	return &Person{gateway: gateway, client: &http.Client{Jar: jar}}, err
}

// SignIn signs somebody in at a gateway that has the provider's client "web".
func SignIn(ctx context.Context, gateway, user string) (*Person, error) {
	p, err := NewPerson(gateway)
	if err != nil {
		return nil, err
	}
	if err := p.SignInAgain(ctx, user); err != nil {
		return nil, fmt.Errorf("sign %s in: %w", user, err)
	}
	return p, nil
}

// At is the same browser, at a gateway by another port: cookies do not know
// ports.
func (p *Person) At(gateway string) *Person {
	return &Person{gateway: gateway, client: p.client, user: p.user}
}

// SignInAgain is SignIn with the same browser.
func (p *Person) SignInAgain(ctx context.Context, user string) error {
	form, err := p.Begin(ctx)
	if err != nil || strings.HasPrefix(form, p.gateway) { // already
		return err
	}
	return p.Finish(ctx, form, user)
}

// Begin asks the gateway for its first page and returns where that leads: to
// the provider's form, unless the provider knows the browser.
func (p *Person) Begin(ctx context.Context) (form string, err error) {
	res, err := p.do(ctx, http.MethodGet, p.gateway+"/auth/sign-in?return_to=/auth/", nil)
	if err != nil {
		return "", err
	}
	return res.Request.URL.String(), nil
}

// Finish fills the provider's form in, and follows it back to the gateway.
func (p *Person) Finish(ctx context.Context, form, user string) error {
	p.user = user
	res, err := p.do(ctx, http.MethodPost, form, url.Values{"username": {user}, "password": {user + "-pw"}})
	if err != nil {
		return err
	}
	if at := res.Request.URL.String(); at != p.gateway+"/auth/" || res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s at %s", res.Status, at)
	}
	return nil
}

// SignOutAt signs out at the provider, which tells the gateway.
func (p *Person) SignOutAt(ctx context.Context, provider *Certified) error {
	res, err := p.do(ctx, http.MethodGet, provider.Issuer+"/session/end", nil)
	if err != nil {
		return err
	}
	page, err := readAll(res)
	if err != nil {
		return err
	}
	hidden := regexp.MustCompile(`name="xsrf" value="([^"]+)"`).FindStringSubmatch(page)
	if hidden == nil {
		return fmt.Errorf("the provider's page for signing out: %s: %.300s", res.Status, page)
	}
	_, err = p.do(ctx, http.MethodPost, provider.Issuer+"/session/end/confirm", url.Values{"xsrf": {hidden[1]}, "logout": {"yes"}})
	return err
}

// Open fetches one of the gateway's pages and returns its text.
func (p *Person) Open(ctx context.Context, path string) (string, error) {
	res, err := p.do(ctx, http.MethodGet, p.gateway+path, nil)
	if err != nil {
		return "", err
	}
	return readAll(res)
}

// Send sends a form of the gateway's pages and returns the page that follows.
// What has to be confirmed by signing in again is.
func (p *Person) Send(ctx context.Context, path string, form url.Values) (string, error) {
	page, err := p.Propose(ctx, path, form)
	next := confirmLink.FindStringSubmatch(page)
	if err != nil || next == nil {
		return page, err
	}
	if page, err = p.Again(ctx, next[1]); err != nil {
		return page, err
	}
	last := confirmField.FindStringSubmatch(page)
	if last == nil {
		return page, fmt.Errorf("%s: there is nothing to confirm: %.600s", path, page)
	}
	return p.Propose(ctx, "/auth/confirm", url.Values{"id": {last[1]}, "confirmation": {last[2]}})
}

var (
	confirmLink  = regexp.MustCompile(`href="(/auth/confirm\?id=[^"]+)"`)
	confirmField = regexp.MustCompile(`name="id" value="([^"]+)">\s*<input type="hidden" name="confirmation" value="([^"]+)"`)
)

// Again follows a link of the gateway to the provider, which asks for the
// password, and returns the page that this ends with.
func (p *Person) Again(ctx context.Context, path string) (string, error) {
	res, err := p.do(ctx, http.MethodGet, p.gateway+path, nil)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(res.Request.URL.String(), p.gateway) {
		page, err := readAll(res)
		return page, errors.Join(err, errors.New("the provider does not ask"))
	}
	if res, err = p.do(ctx, http.MethodPost, res.Request.URL.String(), url.Values{"username": {p.user}, "password": {p.user + "-pw"}}); err != nil {
		return "", err
	}
	return readAll(res)
}

// Propose sends a form of the gateway's pages and returns the page that
// follows, also if that is the one that asks for a confirmation.
func (p *Person) Propose(ctx context.Context, path string, form url.Values) (string, error) {
	text, err := p.Open(ctx, "/auth/csrf")
	if err != nil {
		return "", err
	}
	_, token, _ := strings.Cut(text, `"token":"`)
	token, _, _ = strings.Cut(token, `"`)
	form.Set("csrf", token)
	res, err := p.do(ctx, http.MethodPost, p.gateway+path, form)
	if err != nil {
		return "", err
	}
	page, err := readAll(res)
	if err == nil && res.StatusCode >= 400 {
		err = fmt.Errorf("%s: %s", path, res.Status)
	}
	return page, err
}

func (p *Person) do(ctx context.Context, method, target string, form url.Values) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := p.client.Do(r)
	if err != nil {
		return nil, err
	}
	return res, keepBody(res)
}

// keepBody reads the body at once, so that nobody has to close it.
func keepBody(res *http.Response) error {
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	res.Body = io.NopCloser(bytes.NewReader(body))
	return err
}

func readAll(res *http.Response) (string, error) {
	body, err := io.ReadAll(res.Body)
	return string(body), err
}
