// Package upstream is what the gateway shows the registry behind it: fixed
// logins, logins that programs and files hold, and the tokens of registries
// that speak the Docker token protocol, of which it is a client.
package upstream

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// Errors of credentials. Both are wrapped with what was asked and by whom it
// was refused, never with a secret.
var (
	// ErrRefused: the registry, or where it gets its tokens, does not accept the
	// login, or there is none. Asking again does not help.
	ErrRefused = errors.New("the registry's credential is refused")
	// ErrUnavailable: the login or the token could not be had at the moment.
	ErrUnavailable = errors.New("the registry's credential is not available")
)

// Question is what the gateway is about to ask a registry. It is comparable.
// The zero value is the question for /v2/ alone.
type Question struct {
	Repository string       // as the registry calls it
	Actions    authz.Action // on the repository
	From       string       // the repository of a cross-repository mount; "": none
	Catalog    bool         // the list of all repositories
}

// Ask is the question of a request.
func Ask(accesses []authz.Access) Question {
	var q Question
	for i, a := range accesses {
		switch {
		case a.Type == authz.TypeRegistry:
			q.Catalog = true
		case i == 0:
			q.Repository, q.Actions = a.Name, a.Actions
		default:
			q.From = a.Name
		}
	}
	return q
}

// scopes are the scopes that clients of the token protocol ask for: pull, push
// and delete are the actions that registries know. Who pushes reads too.
func (q Question) scopes() []string {
	var list []string
	if q.Catalog {
		list = append(list, authz.TypeRegistry+":"+authz.CatalogName+":*")
	}
	if q.Repository != "" {
		actions := q.Actions
		switch {
		case actions.Has(authz.Push) || actions.Has(authz.Overwrite):
			actions = actions | authz.Pull | authz.Push
		case actions.Has(authz.List):
			actions |= authz.Pull
		}
		list = append(list, authz.TypeRepository+":"+q.Repository+":"+strings.Join((actions&(authz.Pull|authz.Push|authz.Delete)).Names(), ","))
	}
	if q.From != "" {
		list = append(list, authz.TypeRepository+":"+q.From+":pull")
	}
	return list
}

// asks reports whether a scope is about nothing but what is asked.
func (q Question) asks(scope string) bool {
	kind, rest, _ := strings.Cut(scope, ":")
	i := strings.LastIndexByte(rest, ':')
	if i < 0 {
		return false
	}
	switch name := rest[:i]; kind {
	case authz.TypeRepository:
		return name != "" && (name == q.Repository || name == q.From)
	case authz.TypeRegistry:
		return q.Catalog && name == authz.CatalogName
	}
	return false
}

// Credentials are what a registry is shown. Implementations are safe for
// concurrent use and answer out of memory where they can.
type Credentials interface {
	// Authorization returns the values of the Authorization header for a
	// question, nil for none. The caller does not change them. Errors are
	// [ErrRefused] and [ErrUnavailable].
	Authorization(ctx context.Context, q Question) ([]string, error)
	// Refused tells that the registry answered 401 to what Authorization has
	// returned, with these challenges, and reports whether there is something
	// else to try.
	Refused(q Question, shown, challenges []string) (again bool)
	// Accepted tells that the registry took what there was to try after that.
	Accepted(q Question)
	// Nature says what becomes of a credential that is refused.
	Nature() Nature
}

// Nature is what becomes of a credential that the registry refuses.
type Nature int

// The natures of credentials.
const (
	Lasting    Nature = iota // it is always the same
	Renewable                // another one may be had
	ClientsOwn               // the registry sees the client's
)

// Login is what an account at a registry is proved with: a name and a
// password, an identity token, or a ready token.
type Login struct {
	Username, Password string
	// IdentityToken is exchanged for tokens (OAuth 2.0, grant refresh_token).
	IdentityToken string
	// Bearer is shown as it is.
	Bearer string
}

// Logins are where a [Login] comes from.
type Logins interface {
	// Login returns it. Errors are [ErrRefused] and [ErrUnavailable].
	Login(ctx context.Context) (Login, error)
	// Forget tells that a login was not accepted, so that an outdated one is not
	// kept.
	Forget(Login)
}

// header is the Authorization of a login.
func (l Login) header() ([]string, error) {
	switch {
	case l.Bearer != "":
		return []string{"Bearer " + l.Bearer}, nil
	case l.IdentityToken != "":
		return nil, fmt.Errorf("%w: the login is an identity token, which only the credential \"token\" can exchange", ErrRefused)
	}
	return []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(l.Username+":"+l.Password))}, nil
}

// Fixed is a login that does not change.
type Fixed Login

// Login implements [Logins].
func (f Fixed) Login(context.Context) (Login, error) { return Login(f), nil }

// Forget implements [Logins]; there is nothing else to show.
func (Fixed) Forget(Login) {}

// Static is the credential of a login that does not change: nothing is
// computed for a request. The nil Static shows nothing.
type Static []string

// NewStatic makes it.
func NewStatic(l Login) (Static, error) { return l.header() }

// Authorization implements [Credentials].
func (s Static) Authorization(context.Context, Question) ([]string, error) { return s, nil }

// Refused implements [Credentials].
func (Static) Refused(Question, []string, []string) bool { return false }

// Accepted implements [Credentials].
func (Static) Accepted(Question) {}

// Nature implements [Credentials].
func (Static) Nature() Nature { return Lasting }

// Direct shows a login to the registry itself, by Basic or Bearer.
type Direct struct{ Logins Logins }

// Authorization implements [Credentials].
func (d Direct) Authorization(ctx context.Context, _ Question) ([]string, error) {
	l, err := d.Logins.Login(ctx)
	if err != nil {
		return nil, err
	}
	return l.header()
}

// Refused implements [Credentials]: another try makes sense if the login is
// another one by now.
func (d Direct) Refused(_ Question, shown, _ []string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), loginTime)
	defer cancel()
	l, err := d.Logins.Login(ctx)
	if err != nil {
		return false
	}
	if h, err := l.header(); err != nil || !slices.Equal(h, shown) {
		return err == nil
	}
	d.Logins.Forget(l)
	if l, err = d.Logins.Login(ctx); err != nil {
		return false
	}
	h, err := l.header()
	return err == nil && !slices.Equal(h, shown)
}

// Accepted implements [Credentials].
func (Direct) Accepted(Question) {}

// Nature implements [Credentials].
func (Direct) Nature() Nature { return Renewable }

// loginTime is how long a login may take to be had.
const loginTime = 15 * time.Second

// Passthrough says that the registry sees the client's own credential: it
// verifies the gateway's tokens itself. The gateway puts it in.
type Passthrough struct{}

// Authorization implements [Credentials].
func (Passthrough) Authorization(context.Context, Question) ([]string, error) { return nil, nil }

// Refused implements [Credentials].
func (Passthrough) Refused(Question, []string, []string) bool { return false }

// Accepted implements [Credentials].
func (Passthrough) Accepted(Question) {}

// Nature implements [Credentials].
func (Passthrough) Nature() Nature { return ClientsOwn }
