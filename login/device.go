package login

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
)

const (
	deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"
	refreshType = "urn:ietf:params:oauth:token-type:refresh_token"
	// maxAnswer is the most that is read of an answer, in bytes.
	maxAnswer = 64 << 10
	// usualInterval is RFC 8628's, and what "slow_down" adds.
	usualInterval = 5 * time.Second
)

// device is one login on its way.
type device struct {
	options *Options
	base    string // with the prefix
	host    string
	started started
	ends    time.Time
}

// started is the gateway's answer (RFC 8628 §3.2).
type started struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	URI        string `json:"verification_uri"`
	Complete   string `json:"verification_uri_complete"`
	ExpiresIn  int    `json:"expires_in"`
	Interval   int    `json:"interval"`
}

func (s *started) page() string { return cmp.Or(s.Complete, s.URI) }

// answerError is a refusal (RFC 6749 §5.2).
type answerError struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
	status      int
}

func (e *answerError) Error() string {
	return terminal.Line(cmp.Or(e.Description, e.Code, fmt.Sprintf("status %d", e.status)))
}

func begin(ctx context.Context, o *Options) (*device, error) {
	pages, host, err := o.addresses(ctx)
	if err != nil {
		return nil, err
	}
	if o.Client == nil {
		o.Client = &http.Client{
			Timeout: 30 * time.Second,
			// Codes are for this host only.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	d := &device{options: o, base: pages, host: host}
	form := url.Values{"client_id": {o.ClientID}, "client_name": {cmp.Or(o.Name, machine())}}
	if o.Scope != "" {
		form.Set("scope", o.Scope)
	}
	if err := d.post(ctx, "device/code", form, &d.started); err != nil {
		return nil, fmt.Errorf("%s does not give a code: %w", host, err)
	}
	if d.started.DeviceCode == "" || d.started.UserCode == "" || d.started.URI == "" {
		return nil, fmt.Errorf("%s gives no code: is it a gateway with `portal`?", host)
	}
	for _, page := range []string{d.started.URI, d.started.page()} {
		if err := checkPage(page, d.base); err != nil {
			return nil, err
		}
	}
	d.ends = time.Now().Add(time.Duration(d.started.ExpiresIn) * time.Second)
	return d, nil
}

// addresses returns where the pages are, and the host that docker knows.
func (o *Options) addresses(ctx context.Context) (pages, host string, err error) {
	base, host, err := address(ctx, o.Registry)
	if err == nil && o.Pages != "" {
		base, _, err = address(ctx, o.Pages)
	}
	return base + "/" + strings.Trim(cmp.Or(o.Prefix, "/auth/"), "/") + "/", host, err
}

// wait asks until somebody has decided.
func (d *device) wait(ctx context.Context) (*Credential, error) {
	interval := max(time.Duration(d.started.Interval)*time.Second, time.Second)
	form := url.Values{"grant_type": {deviceGrant}, "device_code": {d.started.DeviceCode}, "client_id": {d.options.ClientID}}
	for time.Now().Before(d.ends) {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(interval):
		}
		var got struct {
			Secret   string `json:"access_token"`
			Type     string `json:"issued_token_type"`
			Username string `json:"username"`
		}
		err := d.post(ctx, "device/token", form, &got)
		refused := new(answerError)
		switch {
		case err == nil && got.Secret == "":
			return nil, errors.New("the gateway's answer has no token")
		case err == nil:
			made := &Credential{Registry: d.host, Username: got.Username, Secret: got.Secret, Identity: got.Type == refreshType}
			return made, made.check()
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !errors.As(err, &refused), refused.status >= 500, refused.Code == "authorization_pending":
			// A network that is away for a moment ends nothing.
		case refused.Code == "slow_down":
			interval += usualInterval
		case refused.Code == "access_denied":
			return nil, fmt.Errorf("%w: %w", ErrRefused, refused)
		case refused.Code == "expired_token":
			return nil, ErrTooLate
		default:
			return nil, refused
		}
	}
	return nil, ErrTooLate
}

// post sends a form and reads the answer.
func (d *device) post(ctx context.Context, path string, form url.Values, answer any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", d.options.ClientID)
	got, err := d.options.Client.Do(r)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	body, err := io.ReadAll(io.LimitReader(got.Body, maxAnswer))
	if err != nil {
		return err
	}
	if got.StatusCode != http.StatusOK {
		refused := &answerError{status: got.StatusCode}
		_ = json.Unmarshal(body, refused) // the status says enough
		return refused
	}
	if json.Unmarshal(body, answer) != nil {
		return errors.New("the answer is not JSON")
	}
	return nil
}

// Revoke ends an identity token at the gateway, as far as it can be reached.
func Revoke(ctx context.Context, o Options, secret string) error {
	pages, host, err := o.addresses(ctx)
	if err != nil {
		return err
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	d := &device{options: &o, base: pages, host: host}
	var nothing struct{}
	return d.post(ctx, "revoke", url.Values{"token": {secret}}, &nothing)
}

// OpenBrowser opens an address in the browser, if there is one to be seen.
func OpenBrowser(address string) error {
	program, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		program = "open"
	case "windows":
		program, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	default:
		if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" && os.Getenv("BROWSER") == "" {
			return errors.New("there is no display")
		}
	}
	cmd := exec.Command(program, args...) //nolint:gosec,noctx // checked by isWeb; the browser outlives us
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }()
	return nil
}
