package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// IdentityToken is the refresh token of the Docker token protocol, which
// `docker login` keeps instead of a password. Its id is the public id of the
// secret.
type IdentityToken struct {
	User     string        `json:"user"` // id of the [User]
	Hash     string        `json:"hash"`
	Service  string        `json:"service"`
	ClientID string        `json:"client_id,omitempty"`
	Limits   []authn.Limit `json:"limits"` // nil: all that the user may
	Remote   string        `json:"remote,omitempty"`
	Agent    string        `json:"agent,omitempty"`
	Created  time.Time     `json:"created"`
	Expires  time.Time     `json:"expires"` // at the latest
	// Used is when it was exchanged last, Idle how long it may rest.
	Used time.Time     `json:"used"`
	Idle time.Duration `json:"idle,omitempty"`
	// Next is the hash of its successor, which Seed makes of the secret, see
	// [authn.DeriveSecret]; empty where tokens are not rotated.
	Next string `json:"next,omitempty"`
	Seed []byte `json:"seed,omitempty"`
	// Replaced are the hashes that it had before it was rotated, the newest
	// last.
	Replaced []ReplacedHash `json:"replaced,omitempty"`
	// ProviderSession is the identity provider's "sid" of the sign-in.
	ProviderSession string `json:"sid,omitempty"`
	// Origin and OriginID are the credential that it was got with.
	Origin   string `json:"origin,omitempty"`
	OriginID string `json:"origin_id,omitempty"`
}

// ReplacedHash is that of a secret which was rotated away.
type ReplacedHash struct {
	Hash string `json:"hash"`
	// Until is how long it is still good, for what was on its way when its
	// successor was shown. Who shows it later has it from somewhere else.
	Until time.Time `json:"until"`
	// Seed leads to its successor for so long, and goes with the next change.
	Seed []byte `json:"seed,omitempty"`
}

// IdentityTokenView is what audit events and pages say of an identity token.
type IdentityTokenView struct {
	User     string        `json:"user"`
	Service  string        `json:"service"`
	ClientID string        `json:"client_id,omitempty"`
	Limits   []authn.Limit `json:"limits"`
	Remote   string        `json:"remote,omitempty"`
	Agent    string        `json:"agent,omitempty"`
	Created  time.Time     `json:"created"`
	Expires  time.Time     `json:"expires"`
	Origin   string        `json:"origin,omitempty"`
}

// View returns the token without what proves it.
func (v *IdentityToken) View() IdentityTokenView {
	return IdentityTokenView{
		User: v.User, Service: v.Service, ClientID: v.ClientID, Limits: v.Limits,
		Remote: v.Remote, Agent: v.Agent, Created: v.Created, Expires: v.Expires, Origin: v.Origin,
	}
}

func (v *IdentityToken) ended(now time.Time) bool {
	return !now.Before(v.Expires) || v.Idle > 0 && now.After(v.Used.Add(v.Idle))
}

// Ended reports whether the token is over.
func (v *IdentityToken) Ended(now time.Time) bool { return v.ended(now) }

// ExchangeIdentityToken takes note that p, who was authenticated by secret,
// exchanges it for a registry token. It returns the identity token to go on
// with, "" if the client asks for none. Where the store is away the exchange
// goes on, and the token stays what it is.
func (l *Logins) ExchangeIdentityToken(ctx context.Context, p *authn.Principal, secret string, c authn.TokenClient) (string, error) {
	item, ok := l.state.IdentityTokens.Get(p.CredentialID)
	if !ok {
		return "", fmt.Errorf("%w: the identity token has ended", authn.ErrDisabled)
	}
	switch v := item.Value; {
	case v.Service != c.Service:
		return "", fmt.Errorf("%w: the identity token is for another service", authn.ErrInvalid)
	case l.config.SameClient && v.ClientID != bounded(c.ClientID):
		return "", fmt.Errorf("%w: the identity token was given to another client", authn.ErrInvalid)
	}
	l.state.Used(l.state.IdentityTokens.Kind(), item.ID, c.Remote, c.Agent)
	if !c.Renew {
		l.touch(item)
		return "", nil
	}
	if l.config.Rotate {
		next, err := l.rotate(ctx, item, p, secret, c)
		switch {
		case err == nil:
			return next, nil
		case errors.Is(err, authn.ErrDisabled):
			return "", err
		}
		l.state.options.Log.Warn("an identity token could not be rotated and goes on as it is", "id", item.ID, "error", err)
	}
	l.touch(item)
	return secret, nil
}

// endStolen ends a token of which a replaced form was shown.
func (l *Logins) endStolen(ctx context.Context, item *Item[IdentityToken], c *authn.Credential) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	var tx Tx
	Delete(&tx, l.state.IdentityTokens, item.ID, store.Precondition{})
	tx.Note(Actor{Kind: System.Kind, Remote: c.Remote.String()}, "identity_token.reuse", Object{Kind: "identity_token", ID: item.ID}, item.Value.View(), nil)
	if err := l.state.Commit(ctx, &tx); err != nil {
		l.state.options.Log.Error("an identity token that was replaced has been shown, and could not be ended", "id", item.ID, "error", err)
	}
}

// touch writes down, in the background and now and then, that a token is in
// use, so that it does not end for resting.
func (l *Logins) touch(item *Item[IdentityToken]) {
	v := item.Value
	now := l.state.now()
	if v.Idle <= 0 || now.Sub(v.Used) < min(time.Hour, v.Idle/10) {
		return
	}
	if _, under := l.touching.LoadOrStore(item.ID, true); under {
		return
	}
	go func() {
		defer l.touching.Delete(item.ID)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		used := *v
		used.Used = now.UTC().Truncate(time.Second)
		var tx Tx
		Put(&tx, l.state.IdentityTokens, item.ID, &used, Unchanged(item))
		if err := l.state.Commit(ctx, &tx); err != nil {
			l.state.options.Log.Debug("writing that an identity token is in use", "error", err)
		}
	}()
}

// Revoke ends the identity token that somebody shows. That there is none is
// no error.
func (l *Logins) Revoke(ctx context.Context, secret string, c authn.TokenClient) error {
	parsed, err := authn.ParseSecret(secret)
	if err != nil {
		return nil //nolint:nilerr // it is none
	}
	item, ok := l.state.IdentityTokens.Get(parsed.ID)
	if !ok || item.Value.shows(secret, l.state.now()) != good {
		return nil
	}
	who := Actor{Kind: string(authn.KindUser), ID: item.ID, Remote: c.Remote.String(), RequestID: c.RequestID}
	if u, ok := l.state.Users.Get(item.Value.User); ok {
		who.Name = u.Value.Name
	}
	var tx Tx
	Delete(&tx, l.state.IdentityTokens, item.ID, store.Precondition{})
	tx.Note(who, "identity_token.revoke", Object{Kind: "identity_token", ID: item.ID}, item.Value.View(), nil)
	return l.state.Commit(ctx, &tx)
}
