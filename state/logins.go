package state

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// LoginConfig says how identity tokens are.
type LoginConfig struct {
	// Lifetime is how long one lasts at the longest, Idle how long it may rest
	// between two exchanges; zero: no limit within its lifetime.
	Lifetime, Idle time.Duration
	// Rotate gives clients that keep it a new one with each exchange.
	Rotate bool
	// SameClient refuses clients that call themselves otherwise than the one
	// that it was given to.
	SameClient bool
}

// Logins gives people identity tokens, and is the authenticator of those who
// exchange one. It is safe for concurrent use.
type Logins struct {
	state    *State
	config   LoginConfig
	vouch    func(*authn.Principal, *authn.Credential) error
	touching sync.Map
	turns    [64]sync.Mutex
}

// turn is held while something is made for a user.
func (l *Logins) turn(user string) *sync.Mutex {
	h := fnv.New32a()
	_, _ = h.Write([]byte(user))
	return &l.turns[h.Sum32()%uint32(len(l.turns))]
}

// NewLogins makes the logins of a realm. vouch says whether the authenticator
// that a principal names still knows it, see [authn.Chain.Vouch]; the
// principal's credential is what its identity token was got with.
func (s *State) NewLogins(c LoginConfig, vouch func(*authn.Principal, *authn.Credential) error) *Logins {
	return &Logins{state: s, config: c, vouch: vouch}
}

var (
	_ authn.Authenticator = (*Logins)(nil)
	_ authn.SchemeOwner   = (*Logins)(nil)
	_ authn.Rechecker     = (*Logins)(nil)
)

// OwnsScheme implements [authn.SchemeOwner].
func (l *Logins) OwnsScheme(s authn.Scheme) bool { return s == authn.SchemeIdentityToken }

// Authenticate implements [authn.Authenticator]. Whoever shows a token that
// was replaced a while ago has it from somewhere else than its owner, or its
// owner's new one is with somebody else: it ends for both (RFC 9700 §4.14.2).
func (l *Logins) Authenticate(ctx context.Context, c *authn.Credential) (*authn.Principal, error) {
	parsed, err := authn.ParseSecret(c.Secret)
	switch ours := err == nil && parsed.Kind == authn.SecretIdentityToken; {
	case c.Scheme != authn.SchemeIdentityToken && !ours:
		return nil, authn.ErrNotMine
	case c.Scheme != authn.SchemeIdentityToken:
		return nil, fmt.Errorf("%w: an identity token is no password, it is exchanged at the token endpoint", authn.ErrInvalid)
	case !ours:
		return nil, fmt.Errorf("%w: not an identity token", authn.ErrInvalid)
	}
	item, ok := l.state.IdentityTokens.Get(parsed.ID)
	if !ok {
		return nil, fmt.Errorf("%w: no such identity token", authn.ErrInvalid)
	}
	switch item.Value.shows(c.Secret, l.state.now()) {
	case wrong:
		return nil, fmt.Errorf("%w: no such identity token", authn.ErrInvalid)
	case stale:
		l.endStolen(ctx, item, c)
		return nil, fmt.Errorf("%w: the identity token was replaced and then used again, so it has ended: log in again", authn.ErrExpired)
	}
	return l.principal(item, c)
}

// principal returns whose token it is, if it goes on: bounded by what the
// credential is good for that it was got with.
func (l *Logins) principal(item *Item[IdentityToken], c *authn.Credential) (*authn.Principal, error) {
	v := item.Value
	if v.ended(l.state.now()) {
		return nil, fmt.Errorf("%w: the identity token: log in again", authn.ErrExpired)
	}
	p, err := l.state.Owning(v.User, v.Created)
	if err != nil {
		return nil, err
	}
	p.Limits = v.Limits
	origin := *p
	switch v.Origin {
	case CredentialToken:
		limits, err := l.within(v, p, c)
		if err != nil {
			return nil, err
		}
		p.Limits = limits
	case authn.CredentialPassword: // ends when the password is changed
		origin.Origin, origin.OriginID = v.Origin, v.OriginID
	}
	if u, ok := l.state.Users.Get(v.User); ok && l.vouch != nil && u.Value.Authenticator != "" {
		origin.Authenticator, origin.Credential, origin.Issued = u.Value.Authenticator, v.Origin, v.Created
		if err := l.vouch(&origin, c); err != nil {
			return nil, err
		}
		p.Groups, p.GroupsUnread = origin.Groups, origin.GroupsUnread
	}
	p.Authenticator, p.Credential, p.CredentialID = authn.IdentityTokensName, authn.CredentialIdentityToken, item.ID
	p.Issued, p.Expires = v.Created, v.Expires
	return p, nil
}

// within holds the token to the access token that it was got with.
func (l *Logins) within(v *IdentityToken, p *authn.Principal, c *authn.Credential) ([]authn.Limit, error) {
	s, err := l.state.IssuedSecret(v.OriginID)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: the access token that it was got with: %w", authn.ErrDisabled, err)
	case s.Principal.Identity() != p.Identity():
		return nil, fmt.Errorf("%w: the access token that it was got with is somebody else's", authn.ErrDisabled)
	case !s.Expires.IsZero() && !l.state.now().Before(s.Expires):
		return nil, fmt.Errorf("%w: the access token that it was got with", authn.ErrExpired)
	case s.From != nil && !authn.Contains(s.From, c.Remote):
		return nil, fmt.Errorf("%w: %s", authn.ErrForbiddenSource, c.Remote)
	}
	return s.Principal.Limits, nil
}

// Recheck implements [authn.Rechecker]: registry tokens end with the identity
// token that they were got with.
func (l *Logins) Recheck(p *authn.Principal, c *authn.Credential) error {
	id := p.OriginID
	if p.Origin == "" {
		id = p.CredentialID
	}
	item, ok := l.state.IdentityTokens.Get(id)
	if !ok {
		return fmt.Errorf("%w: the identity token has ended", authn.ErrDisabled)
	}
	now, err := l.principal(item, c)
	if err != nil {
		return err
	}
	if now.Identity() != p.Identity() {
		return fmt.Errorf("%w: the identity token is somebody else's", authn.ErrDisabled)
	}
	return nil
}

// lasting are the credentials of people that an identity token may follow
// from: those whose owners can be asked about again. A password that only
// another system knows stays with the client, and is asked about each time.
var lasting = []string{"id_token", authn.CredentialPassword, CredentialToken}

// mostLogins is how many identity tokens one person has. Another one ends the
// one that was used least recently.
const mostLogins = 100

// IssueIdentityToken returns an identity token for who was authenticated just
// now, "" if there is none for such a principal or credential.
// [authn.ErrUnavailable]: it cannot be written down.
func (l *Logins) IssueIdentityToken(ctx context.Context, p *authn.Principal, c authn.TokenClient) (string, error) {
	if p.Kind != authn.KindUser || !slices.Contains(lasting, p.Credential) {
		return "", nil
	}
	v := &IdentityToken{Limits: p.Limits, Origin: p.Credential, OriginID: p.CredentialID}
	if p.Credential == CredentialToken {
		v.Expires = p.Expires
	}
	return l.issue(ctx, p, v, c, nil)
}

// IssueFor returns an identity token for somebody who approved it with a
// browser: limited to limits, which are nil for everything, and ended by the
// provider's logout of the session. With adds to the transaction what goes with it;
// nil: nothing does. Where it is not known whether the token was made, it is
// returned with the error.
func (l *Logins) IssueFor(ctx context.Context, session *authn.Principal, providerSession string, limits []authn.Limit, c authn.TokenClient, with func(*Tx) error) (string, error) {
	return l.issue(ctx, session, &IdentityToken{
		Limits: limits, Origin: session.Credential, OriginID: session.CredentialID, ProviderSession: providerSession,
	}, c, with)
}

func (l *Logins) issue(ctx context.Context, p *authn.Principal, v *IdentityToken, c authn.TokenClient, with func(*Tx) error) (string, error) {
	secret, stored := authn.NewSecret(authn.SecretIdentityToken)
	parsed, err := authn.ParseSecret(secret)
	if err != nil {
		return "", err
	}
	now := l.state.now().UTC()
	v.User, v.Hash, v.Service, v.ClientID = p.Identity().ID(), stored, c.Service, bounded(c.ClientID)
	v.Remote, v.Agent, v.Created, v.Used, v.Idle = c.Remote.String(), bounded(c.Agent), now, now.Truncate(time.Second), l.config.Idle
	if l.config.Rotate {
		v.follow(parsed.ID, secret)
	}
	if end := now.Add(l.config.Lifetime); v.Expires.IsZero() || end.Before(v.Expires) {
		v.Expires = end
	}
	// The logins of one person are made one after another, for each is a change of
	// the person's record: what ends all that somebody has misses none.
	turn := l.turn(v.User)
	turn.Lock()
	defer turn.Unlock()
	who := Actor{Kind: string(p.Kind), Name: p.Name, ID: p.CredentialID, Remote: v.Remote, RequestID: c.RequestID}
	err = l.state.Again(ctx, func() error {
		var tx Tx
		id, u, before, _ := l.state.See(p)
		if before != nil {
			u = before.Value
		}
		l.state.Barrier()
		if err := l.state.Still(p); err != nil {
			return err
		}
		l.state.PutUser(&tx, id, u, before)
		v.Created = l.state.IssueTime(v.User, now)
		Put(&tx, l.state.IdentityTokens, parsed.ID, v, Absent)
		tx.Note(who, "identity_token.create", Object{Kind: "identity_token", ID: parsed.ID, Name: p.Name}, nil, v.View())
		l.makeRoom(&tx, v.User, who)
		if with != nil {
			if err := with(&tx); err != nil {
				return err
			}
		}
		return l.state.Commit(ctx, &tx)
	})
	if errors.Is(err, store.ErrUnavailable) {
		return secret, unavailable(err)
	}
	if err != nil {
		return "", unavailable(err)
	}
	return secret, nil
}

// makeRoom ends the login of a person that was used least recently if there
// are too many.
func (l *Logins) makeRoom(tx *Tx, user string, who Actor) {
	var mine []*Item[IdentityToken]
	for item := range l.state.IdentityTokens.All() {
		if item.Value.User == user {
			mine = append(mine, item)
		}
	}
	if len(mine) < mostLogins {
		return
	}
	slices.SortFunc(mine, func(a, b *Item[IdentityToken]) int { return a.Value.Used.Compare(b.Value.Used) })
	for _, item := range mine[:len(mine)-mostLogins+1] {
		Delete(tx, l.state.IdentityTokens, item.ID, store.Precondition{})
		tx.Note(who, "identity_token.make_room", Object{Kind: "identity_token", ID: item.ID}, item.Value.View(), nil)
	}
}

// unavailable says in words of authentication that the store is away.
func unavailable(err error) error {
	if errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrReadOnly) || errors.Is(err, store.ErrConflict) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: %w", authn.ErrUnavailable, err)
	}
	return err
}

// bounded cuts what a client says of itself.
func bounded(text string) string {
	if len(text) > maxAgent {
		text = text[:maxAgent]
	}
	return strings.ToValidUTF8(text, "")
}
