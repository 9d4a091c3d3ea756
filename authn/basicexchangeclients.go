package authn

import (
	"context"
	"time"
)

// Facts implements [Described]. Its clients may have groups and roles of
// people, so it names people also where it takes no passwords of theirs.
func (a *BasicExchange) Facts() Facts {
	f := Facts{Name: a.Name(), Prefix: a.rules.prefix, People: true, NameFrom: NameSource{Issuer: a.verifier.issuer}}
	for _, g := range a.grants {
		if g.kind() == KindUser {
			f.Passwords, f.NameFrom.Claim = true, userClaim(a.rules.username)
		} else {
			f.Clients = true
		}
	}
	return f
}

// BreakGlass implements [BreakGlass]: the secrets of clients are nobody's
// passwords.
func (a *BasicExchange) BreakGlass() Authenticator {
	for _, g := range a.grants {
		if g.kind() == KindWorkload {
			return exchangedClients{a, []grant{g}}
		}
	}
	return nil
}

// exchangedClients is the part of a [BasicExchange] that is asked about
// clients.
type exchangedClients struct {
	all  *BasicExchange
	only []grant
}

// Authenticate implements [Authenticator].
func (e exchangedClients) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	if !isPassword(c) {
		return nil, ErrNotMine
	}
	return e.all.clients.ask(ctx, c, func(ctx context.Context) (*Principal, time.Time, error) {
		return e.all.exchange(ctx, e.only, c)
	})
}

// Recheck implements [Rechecker].
func (e exchangedClients) Recheck(p *Principal, _ *Credential) error { return e.all.recheck(p, e.only) }
