package management

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// Owner is who owns a repository or a namespace.
type Owner struct {
	Repository string    `json:"repository" doc:"The repository, team-a/app, or namespace, team-a/ with a slash at its end."`
	Principal  string    `json:"principal" doc:"Whose it is: user:alice, robot:ci, workload:github."`
	Identity   string    `json:"identity" doc:"Who that is for good, whatever the name: the id of a user."`
	Since      time.Time `json:"since"`
	Pending    bool      `json:"pending,omitempty" doc:"The push that made it has not succeeded yet."`

	revision uint64
}

// OwnerInput is whose it is to be.
type OwnerInput struct {
	Principal string `json:"principal" doc:"user:alice, robot:ci or workload:github." min:"1" max:"512"`
	Identity  string `json:"identity,omitempty" doc:"The id of the user, where several have the name or none has been seen." max:"128"`
}

// Owners lists owners, those whose name begins with a prefix.
func (m *Manager) Owners(who *Caller, q PageQuery, prefix string) (*Page[*Owner], error) {
	if err := needs(who, ScopeOwnersRead); err != nil {
		return nil, err
	}
	admin := m.admin(who)
	visible := func(yield func(*state.Item[state.Owner]) bool) {
		for item := range m.state.Owners.All() {
			if strings.HasPrefix(ownedName(item.ID), prefix) && (admin || owns(who, item.Value)) && !yield(item) {
				return
			}
		}
	}
	return page(q, visible, func(i *state.Item[state.Owner]) string { return ownedName(i.ID) }, showOwner)
}

// Owner returns the owner of a repository or namespace, to administrators and
// to the owner.
func (m *Manager) Owner(who *Caller, repository string) (*Owner, error) {
	if err := needs(who, ScopeOwnersRead); err != nil {
		return nil, err
	}
	id, _ := ownedID(repository)
	item, ok := m.state.Owners.Get(id)
	if !ok || !m.admin(who) && !owns(who, item.Value) {
		return nil, noOwner(repository)
	}
	return showOwner(item), nil
}

// owns reports whether a caller is an owner, with a credential that is good
// for everything.
func owns(who *Caller, o *state.Owner) bool {
	return who.Principal != nil && who.Principal.Limits == nil && !o.Pending && who.Principal.Identity().ID() == o.Identity
}

// TransferOwner says whose a repository or namespace is from now on, and
// reports whether it was nobody's before. Its owner may, and administrators.
// Unlike in Apicurio Registry, nobody takes what is nobody's by asking for it.
func (m *Manager) TransferOwner(ctx context.Context, who *Caller, repository string, in OwnerInput, match Match) (made *Owner, created bool, err error) {
	if err := needs(who, ScopeOwnersWrite); err != nil {
		return nil, false, err
	}
	id, ok := ownedID(repository)
	if !ok {
		return nil, false, invalid("repository", "want the name of a repository, or of a namespace with a slash at its end")
	}
	next, err := m.newOwner(in)
	if err != nil {
		return nil, false, err
	}
	err = again(ctx, func() error {
		before, exists := m.state.Owners.Get(id)
		if created = !exists; created {
			before = nil
		}
		if !m.admin(who) && (before == nil || !owns(who, before.Value)) {
			return noOwner(repository)
		}
		revision, condition := expect(before)
		if err := match.check(revision); err != nil {
			return err
		}
		made = showOwner(&state.Item[state.Owner]{ID: id, Value: next})
		var old any
		if exists {
			old = showOwner(before)
		}
		var tx state.Tx
		state.Put(&tx, m.state.Owners, id, next, condition)
		tx.Note(who.Actor(), "owner.transfer", ownerObject(repository), old, made)
		if err := m.commit(ctx, who, &tx, made); err != nil {
			return err
		}
		made.revision = revisionOf(m.state.Owners, id)
		return nil
	})
	return made, created, err
}

// newOwner finds out who an owner is for good.
func (m *Manager) newOwner(in OwnerInput) (*state.Owner, error) {
	kind, name, _ := strings.Cut(in.Principal, ":")
	if name == "" {
		return nil, invalid("principal", "want user:<name>, robot:<name> or workload:<name>")
	}
	o := &state.Owner{Principal: in.Principal, Identity: in.Identity, Since: m.second()}
	switch authn.Kind(kind) {
	case authn.KindRobot, authn.KindWorkload:
		o.Identity = authn.Identity{Kind: authn.Kind(kind), Name: name}.ID()
		return o, nil
	case authn.KindUser:
	default:
		return nil, invalid("principal", "%q can own nothing: want user, robot or workload", kind)
	}
	found := m.usersNamed(name)
	switch {
	case in.Identity != "":
		item, ok := m.state.Users.Get(in.Identity)
		if ok && item.Value.Name != name {
			return nil, invalid("identity", "is that of %s", item.Value.Name)
		}
		if !ok {
			return nil, invalid("identity", "no such user has been seen")
		}
	case len(found) == 1:
		o.Identity = found[0].ID
	case len(found) == 0:
		return nil, invalid("principal", "no user of that name has been seen: let the user sign in once")
	default:
		return nil, invalid("principal", "%d users have that name: give the identity", len(found))
	}
	return o, nil
}

// usersNamed returns the users who have a name.
func (m *Manager) usersNamed(name string) []*state.Item[state.User] {
	var found []*state.Item[state.User]
	for item := range m.state.Users.All() {
		if item.Value.Name == name {
			found = append(found, item)
		}
	}
	return found
}

// DeleteOwner makes a repository or namespace nobody's: who pushes next is its
// owner. For administrators.
func (m *Manager) DeleteOwner(ctx context.Context, who *Caller, repository string, match Match) error {
	if err := m.needsAdmin(who, ScopeOwnersWrite); err != nil {
		return err
	}
	id, _ := ownedID(repository)
	return again(ctx, func() error {
		item, ok := m.state.Owners.Get(id)
		if !ok {
			return noOwner(repository)
		}
		if err := match.check(item.Revision); err != nil {
			return err
		}
		var tx state.Tx
		state.Delete(&tx, m.state.Owners, id, state.Unchanged(item))
		tx.Note(who.Actor(), "owner.delete", ownerObject(repository), showOwner(item), nil)
		return m.commit(ctx, who, &tx, nil)
	})
}

func showOwner(i *state.Item[state.Owner]) *Owner {
	v := i.Value
	return &Owner{Repository: ownedName(i.ID), Principal: v.Principal, Identity: v.Identity, Since: v.Since, Pending: v.Pending, revision: i.Revision}
}

func ownerObject(repository string) state.Object {
	return state.Object{Kind: "owner", ID: repository, Name: repository}
}

func noOwner(repository string) error {
	return fail(CodeNotFound, "%.255q has no owner that you may know of or change", repository)
}

// ownedID returns the id of the record of who owns a repository, "team-a/app",
// or a namespace, which people write with a slash at its end: "team-a/".
func ownedID(name string) (id string, ok bool) {
	if namespace, is := strings.CutSuffix(name, "/"); is {
		return state.OwnerID(authz.OwnedNamespace, namespace), authz.ValidName(namespace) && !strings.Contains(namespace, "/")
	}
	return state.OwnerID(authz.OwnedRepository, name), authz.ValidName(name)
}

// ownedName is what ownedID reads.
func ownedName(id string) string {
	kind, name, _ := strings.Cut(id, "/")
	if kind == authz.OwnedNamespace.String() {
		return name + "/"
	}
	return name
}

// ownerRoutes are about who owns repositories and namespaces. A name with
// slashes has them escaped in the path: /owners/team-a%2Fapp.
func (a *API) ownerRoutes() []route {
	m := a.manager
	return []route{
		{
			method: http.MethodGet, path: "/owners", id: "listOwners", group: "owners", scope: ScopeOwnersRead,
			summary: "Who owns what: for administrators everything, for others what is theirs.",
			query:   append([]queryParameter{{"prefix", "Only names that begin so.", schema{"type": "string", "maxLength": 255}}}, pageParameters...),
			status:  http.StatusOK, result: of[List[*Owner]](),
			serve: func(c *call) (*answer, error) {
				p, err := c.page()
				if err != nil {
					return nil, err
				}
				return list(m.Owners(c.who, p, c.request.URL.Query().Get("prefix")))
			},
		},
		{
			method: http.MethodGet, path: "/owners/{repository}", id: "getOwner", group: "owners", scope: ScopeOwnersRead,
			summary: "The owner of a repository or namespace.", status: http.StatusOK, result: of[Owner](), versioned: true, fails: []Code{CodeNotFound},
			serve: func(c *call) (*answer, error) {
				o, err := m.Owner(c.who, c.path["repository"])
				if err != nil {
					return nil, err
				}
				return &answer{value: o, revision: o.revision}, nil
			},
		},
		{
			method: http.MethodPut, path: "/owners/{repository}", id: "transferOwner", group: "owners", scope: ScopeOwnersWrite,
			summary: "Gives a repository or namespace to somebody else: its owner may, and administrators.",
			body:    of[OwnerInput](), status: http.StatusOK, created: true, result: of[Owner](), versioned: true, fails: []Code{CodeNotFound, CodeConflict},
			serve: func(c *call) (*answer, error) {
				o, created, err := m.TransferOwner(c.request.Context(), c.who, c.path["repository"], input[OwnerInput](c), c.match)
				if err != nil {
					return nil, err
				}
				return &answer{value: o, revision: o.revision, created: created}, nil
			},
		},
		{
			method: http.MethodDelete, path: "/owners/{repository}", id: "deleteOwner", group: "owners", scope: ScopeOwnersWrite,
			summary: "Makes a repository or namespace nobody's. For administrators.", status: http.StatusNoContent, versioned: true,
			fails: []Code{CodeForbidden, CodeNotFound, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.DeleteOwner(c.request.Context(), c.who, c.path["repository"], c.match)
			},
		},
	}
}
