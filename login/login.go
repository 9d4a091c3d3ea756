// Package login logs docker and its like in to a gateway: it asks for a code
// that somebody approves with the browser (RFC 8628), and puts what it gets
// where docker looks for credentials. It needs nothing but the standard
// library.
package login

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/loopback"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
)

// Options are one login.
type Options struct {
	// Registry is the host that clients call, with a port if it has one. On
	// one's own machine it may be a URL with http.
	Registry string
	// Prefix is where the gateway's pages are. Default: "/auth/".
	Prefix string
	// Pages is the host of the pages, where they have one of their own; empty:
	// the registry's. It is written as Registry is. No other host is asked, and
	// no page of another one is opened, whatever the registry says.
	Pages string
	// Scope is what the login is to be good for, such as
	// "repository:team/**:pull,push"; empty: all that the person may.
	Scope string
	// ClientID is the program, Name the machine that it runs on.
	ClientID, Name string
	// Browser opens an address in the browser; nil: it is only shown.
	Browser func(address string) error
	// Out gets what people should read.
	Out io.Writer
	// Client speaks to the gateway; nil: one that follows no redirects.
	Client *http.Client
}

// Login asks for a code, shows it, and waits until somebody has approved it
// in the browser.
func Login(ctx context.Context, o Options) (*Credential, error) {
	got, err := o.login(ctx)
	return got, terminal.Error(err)
}

func (o *Options) login(ctx context.Context) (*Credential, error) {
	d, err := begin(ctx, o)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(o.Out, "Open this page, and check that it shows the code %s:\n\n    %s\n\n", terminal.Line(d.started.UserCode), terminal.Line(d.started.page()))
	if o.Browser != nil {
		if err := o.Browser(d.started.page()); err == nil {
			fmt.Fprintln(o.Out, "(It should open in your browser now.)")
		}
	}
	fmt.Fprintln(o.Out, "Waiting ...")
	return d.wait(ctx)
}

// Credential is what a registry's client shows.
type Credential struct {
	// Registry is the host, as docker's configuration has it.
	Registry string
	Username string
	// Secret is an identity token if Identity is set, else a password.
	Secret   string
	Identity bool
}

// tokenUser is the user name that stands for an identity token in the protocol
// of Docker's credential helpers.
const tokenUser = "<token>"

// HelperUser is the user name under which credential helpers keep it.
func (c *Credential) HelperUser() string {
	if c.Identity {
		return tokenUser
	}
	return c.Username
}

// address returns the gateway's base URL and the host that docker knows.
func address(ctx context.Context, registry string) (base, host string, err error) {
	if !strings.Contains(registry, "://") {
		registry = "https://" + registry
		if u, err := url.Parse(registry); err == nil && loopback.Is(u.Hostname()) && !speaksTLS(ctx, u.Host) {
			registry = "http://" + u.Host
		}
	}
	u, err := url.Parse(registry)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return "", "", fmt.Errorf("%q is not a registry such as registry.example.com", registry)
	case u.Scheme != "https" && u.Scheme != "http":
		return "", "", fmt.Errorf("%q: want https", registry)
	case u.Scheme == "http" && !loopback.Is(u.Hostname()):
		return "", "", fmt.Errorf("%q: http is for one's own machine only", registry)
	}
	return u.Scheme + "://" + u.Host, u.Host, nil
}

// speaksTLS reports whether a server on this machine does, as docker finds
// out.
func speaksTLS(ctx context.Context, host string) bool {
	if _, _, err := net.SplitHostPort(host); err != nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/v2/", nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(r)
	if err == nil {
		answer.Body.Close()
	}
	return err == nil || !strings.Contains(err.Error(), "HTTP response to HTTPS client")
}

// machine is how this machine calls itself.
func machine() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// checkPage returns why a page that a registry names is not opened: it has to
// be on the host that was asked for the code. A registry could otherwise show
// the code of a login that it has begun elsewhere, and get what that is for.
func checkPage(page, base string) error {
	own, err := url.Parse(base)
	if err != nil {
		return err
	}
	u, err := url.Parse(page)
	if err != nil || u.User != nil || u.Opaque != "" || terminal.Line(page) != page {
		return fmt.Errorf("%s names no page that could be opened: %.200q", own.Host, page)
	}
	if u.Scheme != own.Scheme || !strings.EqualFold(u.Host, own.Host) {
		return fmt.Errorf("%w: %s wants the login approved on %.200q. If the registry's pages are there, say so with --pages", ErrOtherHost, own.Host, u.Scheme+"://"+u.Host)
	}
	return nil
}

// maxName and maxSecret are how long a user name and a secret may be, in bytes.
const (
	maxName   = 256
	maxSecret = 16 << 10
)

// check returns why a credential is not kept: docker and other programs read
// where it is kept, and cut names and secrets in their own ways.
func (c *Credential) check() error {
	switch name := c.Username; {
	case name == "" || len(name) > maxName || terminal.Line(name) != name || strings.TrimSpace(name) != name || strings.Contains(name, ":") || name == tokenUser:
		return fmt.Errorf("%s calls the user %.100q, which docker cannot keep as a user name", c.Registry, name)
	case c.Secret == "" || len(c.Secret) > maxSecret || strings.ContainsFunc(c.Secret, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }):
		return fmt.Errorf("%s answers with something that is no token", c.Registry)
	}
	return nil
}

// Errors of logins.
var (
	// ErrRefused: somebody refused in the browser.
	ErrRefused = errors.New("the login was refused in the browser")
	// ErrOtherHost: the registry names a page of another host.
	ErrOtherHost = errors.New("the page is not the registry's own")
	// ErrTooLate: nobody approved it in time.
	ErrTooLate = errors.New("nobody has approved the login in time: start again")
)
