package state

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Owner is who owns a repository or a namespace. Its id is [OwnerID].
type Owner struct {
	// Principal is the subject, "user:alice"; Identity is who that is for
	// good, see [authn.Identity.ID], empty if only the name is known.
	Principal string    `json:"principal"`
	Identity  string    `json:"identity,omitempty"`
	Since     time.Time `json:"since"`
	// Created: there was no such repository before.
	Created bool `json:"created,omitempty"`
	// Pending: the push that made it has not succeeded yet.
	Pending bool `json:"pending,omitempty"`
}

// OwnerID returns the id of an owner's record: "repository/team/app".
func OwnerID(by authz.OwnedBy, name string) string { return by.String() + "/" + name }

// pendingOwner is how long a push may take until its claim is forgotten: the
// gateway that made it is gone.
const pendingOwner = 10 * time.Minute

// ownerIndex finds owners without putting an id together.
type ownerIndex struct {
	repositories, namespaces *livemap[string, *ownerEntry]
}

type ownerEntry struct {
	ownership authz.Ownership
	lapses    time.Time // of a pending one
}

func (x *ownerIndex) follow(t *Table[Owner], filled *atomic.Bool) {
	x.repositories, x.namespaces = newLivemap[string, *ownerEntry](filled, itself), newLivemap[string, *ownerEntry](filled, itself)
	t.onChange(func(before, after *Item[Owner]) {
		if after == nil {
			x.of(before.ID, func(m *livemap[string, *ownerEntry], name string) { m.remove(name) })
			return
		}
		o := after.Value
		e := &ownerEntry{ownership: authz.Ownership{Principal: o.Principal, Identity: o.Identity, Created: o.Created}}
		if o.Pending {
			e.lapses = o.Since.Add(pendingOwner)
		}
		x.of(after.ID, func(m *livemap[string, *ownerEntry], name string) { m.set(name, e) })
	})
}

// of calls f with the map that an id belongs to.
func (x *ownerIndex) of(id string, f func(m *livemap[string, *ownerEntry], name string)) {
	kind, name, _ := strings.Cut(id, "/")
	switch kind {
	case authz.OwnedRepository.String():
		f(x.repositories, name)
	case authz.OwnedNamespace.String():
		f(x.namespaces, name)
	}
}

// Owner implements [authz.Facts].
func (s *State) Owner(by authz.OwnedBy, name string) *authz.Ownership {
	m := s.owners.repositories
	if by == authz.OwnedNamespace {
		m = s.owners.namespaces
	}
	e, ok := m.get(name)
	if !ok || !e.lapses.IsZero() && s.now().After(e.lapses) {
		return nil
	}
	return &e.ownership
}

// ErrOwned: somebody else owns it.
var ErrOwned = errors.New("somebody else owns it")

// Claim records a principal as the owner of what has none, for a push that is
// about to be made; of two at the same moment one gets [ErrOwned]. The ids are
// those of what was claimed, which [State.Settle] confirms or gives back.
func (s *State) Claim(ctx context.Context, p *authn.Principal, repository string, by []authz.OwnedBy, created bool) (ids []string, err error) {
	var tx Tx
	for _, kind := range by {
		name := kind.Of(repository)
		if owner := s.Owner(kind, name); owner != nil {
			continue // what that means the policy has decided
		}
		id := OwnerID(kind, name)
		condition := Absent
		if lapsed, ok := s.Owners.Get(id); ok {
			condition = Unchanged(lapsed)
		}
		Put(&tx, s.Owners, id, &Owner{
			Principal: p.String(), Identity: p.Identity().ID(), Since: s.now().UTC(),
			Created: created && kind == authz.OwnedRepository, Pending: true,
		}, condition)
		ids = append(ids, id)
	}
	if err := s.Commit(ctx, &tx); err != nil {
		if errors.Is(err, store.ErrConflict) {
			return nil, ErrOwned
		}
		return nil, err
	}
	return ids, nil
}

// Settle confirms what a push has claimed, or gives it back where the push
// has failed.
func (s *State) Settle(ctx context.Context, p *authn.Principal, ids []string, pushed bool) error {
	var tx Tx
	for _, id := range ids {
		item, ok := s.Owners.Get(id)
		if !ok || !item.Value.Pending || item.Value.Identity != p.Identity().ID() {
			continue
		}
		if !pushed {
			Delete(&tx, s.Owners, id, Unchanged(item))
			continue
		}
		owner := *item.Value
		owner.Pending = false
		Put(&tx, s.Owners, id, &owner, Unchanged(item))
		tx.Note(Actor{Kind: string(p.Kind), Name: p.Name, ID: p.CredentialID}, "owner.record", Object{Kind: "owner", ID: id}, nil, owner)
	}
	return s.Commit(ctx, &tx)
}
