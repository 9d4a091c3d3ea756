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
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

// Options are one login.
type Options struct {
	// Registry is the host that clients call, with a port if it has one. On
	// one's own machine it may be a URL with http.
	Registry string
	// Prefix is where the gateway's pages are. Default: "/auth/".
	Prefix string
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
	d, err := begin(ctx, &o)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(o.Out, "Open this page, and check that it shows the code %s:\n\n    %s\n\n", plain(d.started.UserCode), plain(d.started.page()))
	if o.Browser != nil && isWeb(d.started.page()) {
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
		if u, err := url.Parse(registry); err == nil && loopback(u.Hostname()) && !speaksTLS(ctx, u.Host) {
			registry = "http://" + u.Host
		}
	}
	u, err := url.Parse(registry)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return "", "", fmt.Errorf("%q is not a registry such as registry.example.com", registry)
	case u.Scheme != "https" && u.Scheme != "http":
		return "", "", fmt.Errorf("%q: want https", registry)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", "", fmt.Errorf("%q: http is for one's own machine only", registry)
	}
	return u.Scheme + "://" + u.Host, u.Host, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && a.IsLoopback()
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

// plain takes what a server says and could make a terminal do something.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 {
			return -1
		}
		return r
	}, text)
}

// isWeb reports whether an address is for a browser and nothing else.
func isWeb(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()))
}

// Errors of logins.
var (
	// ErrRefused: somebody refused in the browser.
	ErrRefused = errors.New("the login was refused in the browser")
	// ErrTooLate: nobody approved it in time.
	ErrTooLate = errors.New("nobody has approved the login in time: start again")
)
