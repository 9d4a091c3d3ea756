package authn

import (
	"context"
	"fmt"
	"time"
)

// LogoutToken says that a provider has signed somebody out (OpenID Connect
// Back-Channel Logout 1.0 §2.4).
type LogoutToken struct {
	// Issuer and Subject are the user's identity; Subject may be empty if
	// Session is not: then all who share the session are meant.
	Issuer, Subject string
	// Session is the provider's session; empty: all of the user's.
	Session string
}

const (
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	// logoutAge is how old a logout token may be, and its reach into the
	// future how long it is remembered.
	logoutAge = 5 * time.Minute
)

// LogoutToken verifies a logout token, strictly (§2.6): each is good once.
func (a *OIDC) LogoutToken(ctx context.Context, token string) (*LogoutToken, error) {
	t, err := a.signed(ctx, token, "logout+jwt")
	if err != nil {
		return nil, err
	}
	c, now := t.claims, a.now()
	events, _ := c["events"].(map[string]any)
	if _, ok := events[logoutEvent].(map[string]any); !ok {
		return nil, fmt.Errorf("%w: no logout token (events)", ErrInvalid)
	}
	if _, present := c["nonce"]; present {
		return nil, fmt.Errorf("%w: a logout token has no nonce", ErrInvalid)
	}
	if err := a.rules.checkAudience(c); err != nil {
		return nil, err
	}
	rules := a.rules
	rules.maxAge = logoutAge
	if _, present := c["exp"]; !present { // not asked for by the first edition
		c["exp"] = float64(now.Add(logoutAge).Unix())
	}
	if _, err := rules.checkTimes(c, now); err != nil {
		return nil, err
	}
	out := &LogoutToken{Issuer: a.rules.identity}
	out.Subject, _ = c["sub"].(string)
	out.Session, _ = c["sid"].(string)
	if out.Subject == "" && out.Session == "" || len(out.Subject) > maxSubject {
		return nil, fmt.Errorf("%w: neither sub nor sid", ErrInvalid)
	}
	jti, _ := c["jti"].(string)
	if jti == "" || len(jti) > maxSubject {
		return nil, fmt.Errorf("%w: jti is missing", ErrInvalid)
	}
	issued, err := numericDate(c, "iat")
	if err != nil {
		return nil, err
	}
	if err := a.logouts.spend(a.issuer, jti, now, issued.Add(logoutAge+2*rules.skew)); err != nil {
		return nil, err
	}
	return out, nil
}
