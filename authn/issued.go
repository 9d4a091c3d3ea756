package authn

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// IssuedSecret is a secret of ours that was handed out at run time, such as a
// personal access token. It is immutable.
type IssuedSecret struct {
	Hash      Hash
	Principal *Principal // who shows it, not shared; CredentialID is the secret's id
	Owner     string     // the authenticator that saw its owner last, see [Chain.Vouch]
	From      []netip.Prefix
	Expires   time.Time // zero: never
}

// SecretDirectory knows the secrets that were handed out.
type SecretDirectory interface {
	// IssuedSecret returns the secret with that public id as things stand
	// now: [ErrInvalid] if there is none, [ErrDisabled] if its owner may not
	// come in any more. It must not block.
	IssuedSecret(id string) (*IssuedSecret, error)
	// IsAnother reports whether a user name is that of a known user other
	// than p. It must not block.
	IsAnother(username string, p *Principal) bool
}

// Issued authenticates by secrets of one kind that were handed out at run
// time: as the password of Basic, under any user name but somebody else's, or
// as Bearer.
type Issued struct {
	kind      SecretKind
	directory SecretDirectory
	now       func() time.Time
	vouch     func(*Principal, *Credential) error // nil: nobody is asked
}

// VouchedBy has vouch say whether the owner of a secret is still good, as
// [Chain.Vouch] does. It must be set before the authenticator is used.
func (a *Issued) VouchedBy(vouch func(*Principal, *Credential) error) { a.vouch = vouch }

// NewIssued returns the authenticator for the secrets of one kind. now is the
// clock, nil for the real one.
func NewIssued(kind SecretKind, directory SecretDirectory, now func() time.Time) *Issued {
	if now == nil {
		now = time.Now
	}
	return &Issued{kind: kind, directory: directory, now: now}
}

// Authenticate implements [Authenticator].
func (a *Issued) Authenticate(_ context.Context, c *Credential) (*Principal, error) {
	if kind, ours := secretKind(c.Secret); !ours || kind != a.kind {
		return nil, ErrNotMine
	}
	parsed, err := parseSecret(c.Secret)
	if err != nil {
		return nil, err
	}
	s, err := a.directory.IssuedSecret(parsed.ID)
	if err != nil {
		return nil, err
	}
	if !s.Hash.Matches(c.Secret) {
		return nil, fmt.Errorf("%w: no such secret", ErrInvalid)
	}
	if err := a.admits(s, c); err != nil {
		return nil, err
	}
	if c.Scheme == SchemeBasic && a.directory.IsAnother(c.Username, s.Principal) {
		// Who believes to be somebody else had better know.
		return nil, fmt.Errorf("%w: the secret is not that of the user who is named", ErrInvalid)
	}
	return s.Principal, nil
}

// Recheck implements [Rechecker]: the secret must still be there and good for
// the client.
func (a *Issued) Recheck(p *Principal, c *Credential) error {
	id := p.OriginID
	if p.Origin == "" {
		id = p.CredentialID
	}
	s, err := a.directory.IssuedSecret(id)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDisabled, err)
	}
	if s.Principal.Identity() != p.Identity() {
		return fmt.Errorf("%w: the secret is somebody else's now", ErrDisabled)
	}
	if err := a.admits(s, c); err != nil {
		return err
	}
	for _, g := range p.Groups {
		if !slices.Contains(s.Principal.Groups, g) {
			return fmt.Errorf("%w: %s is not in group %s any more", ErrDisabled, p, g)
		}
	}
	return nil
}

// admits says whether the secret is good for a client, and its owner still is
// who it was.
func (a *Issued) admits(s *IssuedSecret, c *Credential) error {
	if err := s.admits(c.Remote, a.now()); err != nil || a.vouch == nil {
		return err
	}
	owner := *s.Principal
	owner.Authenticator = s.Owner
	if err := a.vouch(&owner, c); err != nil {
		return err
	}
	s.Principal.Groups, s.Principal.GroupsUnread = owner.Groups, owner.GroupsUnread
	return nil
}

func (s *IssuedSecret) admits(remote netip.Addr, now time.Time) error {
	switch {
	case !s.Expires.IsZero() && !now.Before(s.Expires):
		return fmt.Errorf("%w: on %s", ErrExpired, s.Expires.Format(time.RFC3339))
	case s.From != nil && !Contains(s.From, remote):
		return fmt.Errorf("%w: %s", ErrForbiddenSource, remote)
	}
	return nil
}
