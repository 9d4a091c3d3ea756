package management

import (
	"context"
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

	versioned
}

// OwnerInput is whose it is to be.
type OwnerInput struct {
	Principal string `json:"principal" doc:"user:alice, robot:ci or workload:github." min:"1" max:"512"`
	Identity  string `json:"identity,omitempty" doc:"The id of the user, where several have the name or none has been seen." max:"128"`
}

// owners describes owners as a managed resource. An owner sees and transfers
// what it owns, an administrator everything; only administrators delete.
func (m *Manager) owners() *managed[state.Owner, Owner, OwnerInput] {
	return &managed[state.Owner, Owner, OwnerInput]{
		manager: m, table: m.state.Owners, object: ownerObject, show: showOwner,
		id: func(repository string) string {
			id, _ := ownedID(repository)
			return id
		},
		name:      ownedName,
		mayRead:   func(who *Caller) error { return needs(who, ScopeOwnersRead) },
		mayPut:    func(who *Caller) error { return needs(who, ScopeOwnersWrite) },
		mayDelete: func(who *Caller) error { return m.needsAdmin(who, ScopeOwnersWrite) },
		sees:      func(who *Caller, o *state.Owner) bool { return o != nil && owns(who, o) || m.admin(who) },
		check: func(_ *Caller, repository string, in OwnerInput) (*state.Owner, error) {
			if _, ok := ownedID(repository); !ok {
				return nil, invalid("repository", "want the name of a repository, or of a namespace with a slash at its end")
			}
			return m.newOwner(in)
		},
		put: "owner.transfer",
		missing: func(repository string) error {
			return fail(CodeNotFound, "%.255q has no owner that you may know of or change", repository)
		},
	}
}

// Owners lists owners, those whose name begins with a prefix.
func (m *Manager) Owners(who *Caller, q PageQuery, prefix string) (*Page[*Owner], error) {
	return m.owners().list(who, q, func(name string) bool { return strings.HasPrefix(name, prefix) })
}

// Owner returns the owner of a repository or namespace, to administrators and
// to the owner.
func (m *Manager) Owner(who *Caller, repository string) (*Owner, error) {
	return m.owners().get(who, repository)
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
	return m.owners().replace(ctx, who, repository, in, match)
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
	return m.owners().remove(ctx, who, repository, match)
}

func showOwner(i *state.Item[state.Owner]) *Owner {
	v := i.Value
	return &Owner{Repository: ownedName(i.ID), Principal: v.Principal, Identity: v.Identity, Since: v.Since, Pending: v.Pending, versioned: versioned{i.Revision}}
}

func ownerObject(repository string) state.Object {
	return state.Object{Kind: "owner", ID: repository, Name: repository}
}

// ownedID returns the id of the ownership record of a repository, "team-a/app",
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
	x := collection[Owner]{
		path: "/owners", variable: "repository", group: "owners", read: ScopeOwnersRead, write: ScopeOwnersWrite,
	}
	return []route{
		x.search("listOwners", "Who owns what: for administrators everything, for others what is theirs.",
			[]queryParameter{{"prefix", "Only names that begin so.", schema{"type": "string", "maxLength": 255}}},
			func(c *call, p PageQuery) (*Page[*Owner], error) {
				return m.Owners(c.who, p, c.request.URL.Query().Get("prefix"))
			}),
		x.get("getOwner", "The owner of a repository or namespace.", m.Owner, CodeNotFound),
		putting(x, "transferOwner", "Gives a repository or namespace to somebody else: its owner may, and administrators.", m.TransferOwner, CodeNotFound, CodeConflict),
		x.remove("deleteOwner", "Makes a repository or namespace nobody's. For administrators.", m.DeleteOwner, CodeForbidden, CodeNotFound, CodeConflict),
	}
}
