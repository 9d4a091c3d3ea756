package authz

// Config is everything that decides who may do what, as it stands in the
// configuration. [Compile] turns it into a [Policy].
type Config struct {
	// Who may do everything, everywhere. Administrators stand above grants
	// and deny rules, but not above immutable tags and read-only mode unless
	// `override` says so.
	Admins []Admin `json:"admins,omitempty"`

	// Roles of your own, in addition to the built-in ones.
	Roles []Role `json:"roles,omitempty"`

	// The projects: sets of repositories with their members and rules.
	Projects []Project `json:"projects,omitempty"`

	// Rules that take rights away in every repository, whatever is granted.
	Denies []Grant `json:"denies,omitempty"`

	// Repositories that everybody may read, without any credential.
	AnonymousRead []Read `json:"anonymous_read,omitempty"`

	// Repositories that everybody may read who has shown a good credential.
	AuthenticatedRead []Read `json:"authenticated_read,omitempty"`

	// Repositories that only their owners may change: who pushed to them
	// first. Reading is not affected.
	OwnerOnly []OwnerOnly `json:"owner_only,omitempty"`

	// What who creates a repository may do in it from then on.
	CreatorRoles []CreatorRole `json:"creator_roles,omitempty"`

	// Where roles come from: `token` (and everything else that says who
	// somebody is), `application` (stored role mappings), `header` (of a
	// trusted proxy). Default: all of them.
	RoleSources []string `json:"role_sources,omitempty"`

	// Take the roles of the first source that has any for the principal, in
	// the order of `role_sources`, and not those of all of them.
	FirstRoleSource bool `json:"first_role_source,omitempty"`

	// Who may ask for the catalog, the list of all repositories: `admin`
	// (the default) or `filtered`, everybody who may list at least one
	// repository, who is then shown only those.
	Catalog string `json:"catalog,omitempty"`

	// Refuses everything that writes, in every repository. Logins and pulls
	// go on.
	ReadOnly bool `json:"read_only,omitempty"`
}

// Admin names administrators.
type Admin struct {
	// Who they are: `user:alice`, `group:platform`, `role:sr-admin`,
	// `claim:org-admin=true`, `robot:terraform`, `workload:deploy`.
	Subjects []string `json:"subjects,omitempty"`

	// What these administrators stand above, beyond grants and deny rules:
	// `immutable`, `read_only`.
	Override []string `json:"override,omitempty"`

	Conditions

	// A stored role mapping, as in [Grant].
	Mapped bool `json:"-"`

	// Where this was written, for example "Caddyfile:12". Shown in logs and
	// explanations.
	Source string `json:"source,omitempty"`
}

// Role is a named set of actions.
type Role struct {
	// How grants call it.
	Name string `json:"name,omitempty"`

	// What it allows: `pull`, `push`, `overwrite`, `delete`, `list`,
	// `manage`, or `*` for all of them.
	Actions []string `json:"actions,omitempty"`

	// Where this was written.
	Source string `json:"source,omitempty"`
}

// Project is a set of repositories with its members and rules.
type Project struct {
	// How logs and explanations call it. Default: its patterns.
	Name string `json:"name,omitempty"`

	// Which repositories belong to it. `*` is one path segment, or part of
	// one as in `team-*`; `**` is any number of segments: `team/**` is
	// everything below `team/`, but neither `team` itself nor `team2/app`.
	// `{user}` is the user's name, `{groups}` each of the groups in turn,
	// `{claims.path.to.x}` a claim of the token.
	Patterns []string `json:"patterns,omitempty"`

	// Who may do what in it. Grants add up.
	Grants []Grant `json:"grants,omitempty"`

	// Who may not do what in it, whatever is granted anywhere.
	Denies []Grant `json:"denies,omitempty"`

	// Tags that can neither be moved nor deleted once they exist: `v*`.
	Immutable []Immutable `json:"immutable,omitempty"`

	// Refuses everything that writes to these repositories.
	ReadOnly bool `json:"read_only,omitempty"`

	// Lets manifests be pulled only if they are signed.
	RequireSignature *SignatureRule `json:"require_signature,omitempty"`

	// Where this was written.
	Source string `json:"source,omitempty"`
}

// SignatureRule says which signatures a manifest needs one of.
type SignatureRule struct {
	// The public keys, one of which suffices: the absolute path of a PEM
	// file, or the PEM text itself, which may come from a placeholder.
	Keys []string `json:"keys,omitempty"`

	// Where this was written.
	Source string `json:"source,omitempty"`
}

// Grant gives actions to subjects, or takes them away in a list of denies.
type Grant struct {
	// The role that is given. Either this or `actions`.
	Role string `json:"role,omitempty"`

	// The actions that are given: `pull`, `push`, `overwrite`, `delete`,
	// `list`, `manage`, or `*`.
	Actions []string `json:"actions,omitempty"`

	// To whom: `user:alice`, `group:dev`, `role:sr-developer`, `robot:ci`,
	// `workload:github`, `claim:org-admin=true`, `authenticated`, `anyone`.
	Subjects []string `json:"subjects,omitempty"`

	// Restricts push, overwrite and delete to these tags: `dev-*`.
	Tags []string `json:"tags,omitempty"`

	Conditions

	// A stored role mapping: it holds only where roles come from the
	// application, see [Config.RoleSources].
	Mapped bool `json:"-"`

	// Evaluates and reports the rule without enforcing it.
	Shadow bool `json:"shadow,omitempty"`

	// Where this was written.
	Source string `json:"source,omitempty"`
}

// Conditions restrict when a rule applies. All that are given must hold.
type Conditions struct {
	// A CEL expression over `principal`, `claims` and `request`, for example
	// `claims.ref == "refs/heads/main"`. If it cannot be evaluated, a grant
	// does not apply and a deny rule does.
	When string `json:"when,omitempty"`

	// The client addresses it holds for: `10.0.0.0/8`, `2001:db8::1`.
	From []string `json:"from,omitempty"`

	// When it ends: a time as in RFC 3339, or a date, whose end (UTC) it is.
	Until string `json:"until,omitempty"`

	// The hours it holds: `08:00-18:00`, `22:00-06:00 Mon-Fri`,
	// `08:00-18:00 Mon-Fri,Sun Europe/Berlin`. Default: every day, UTC.
	Between string `json:"between,omitempty"`
}

// Immutable protects existing tags.
type Immutable struct {
	// The tags: `v*`, `release-*`.
	Tags []string `json:"tags,omitempty"`

	// Where this was written.
	Source string `json:"source,omitempty"`
}

// OwnerOnly lets only the owner, and administrators, push and delete.
type OwnerOnly struct {
	// What is owned: each `repository`, or the `namespace`, all that begins
	// with the same first segment.
	By string `json:"by,omitempty"`

	// For which repositories. Default: all.
	Patterns []string `json:"patterns,omitempty"`

	// Where this was written.
	Source string `json:"source,omitempty"`
}

// CreatorRole is a role for who creates a repository.
type CreatorRole struct {
	// The role that is given.
	Role string `json:"role,omitempty"`

	// For which repositories. Default: all.
	Patterns []string `json:"patterns,omitempty"`

	// Where this was written.
	Source string `json:"source,omitempty"`
}

// Read opens repositories for reading: pull and list.
type Read struct {
	// Which repositories; `**` is all of them.
	Patterns []string `json:"patterns,omitempty"`

	// Where this was written.
	Source string `json:"source,omitempty"`
}
