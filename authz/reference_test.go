package authz

import (
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// reference decides as the engine does, by looking at every rule of the
// configuration in turn, with regular expressions for patterns. It knows no
// conditions.
type reference struct {
	cfg   Config
	facts Facts
}

func (ref reference) decide(p *authn.Principal, q *Query) (allowed bool, ask Ask) {
	if !regexp.MustCompile(`^[a-z0-9_-](\.?[a-z0-9_-])*\.?(/\.?[a-z0-9_-](\.?[a-z0-9_-])*\.?)*$`).MatchString(strings.TrimPrefix(q.Repository, ".")) ||
		q.Action == 0 || len(q.Repository) > 255 {
		return false, AskNothing
	}
	if p != nil && p.Limits != nil {
		var open Action
		for _, l := range p.Limits {
			if l.Type == "repository" && ref.pattern(l.Name, q.Repository, nil, true) {
				open |= TokenActions(l.Actions...)
			}
		}
		if !open.Has(q.Action) {
			return false, AskNothing
		}
	}
	admin, above := false, []string(nil)
	for _, a := range ref.cfg.Admins {
		if ref.holds(a.Subjects, a.Mapped, p) {
			admin, above = true, append(above, a.Override...)
		}
	}
	if q.Action&(Push|Overwrite|Delete) != 0 && !slices.Contains(above, "read_only") {
		frozen := ref.cfg.ReadOnly
		for _, project := range ref.cfg.Projects {
			frozen = frozen || project.ReadOnly && ref.patterns(project.Patterns, q.Repository, p, true)
		}
		if frozen {
			return false, AskNothing
		}
	}
	if q.Action&(Push|Overwrite|Delete) != 0 && !admin && ref.foreign(p, q.Repository) {
		return false, AskNothing
	}
	tags := slices.Clone(q.Tags)
	if q.Tag != "" {
		tags = slices.Insert(tags, 0, q.Tag)
	}
	if len(tags) == 0 {
		return ref.one(p, q, "", admin, above)
	}
	for _, tag := range tags {
		if ok, ask := ref.one(p, q, tag, admin, above); !ok {
			return false, ask
		}
	}
	return true, AskNothing
}

func (ref reference) one(p *authn.Principal, q *Query, tag string, admin bool, above []string) (bool, Ask) {
	unknown := tag == "" && q.Tags == nil && q.Action&Delete != 0
	mayExist := tag != "" && q.Action.Has(Push) && !q.Absent
	depends, overwrites, refused := false, true, Action(0)
	for _, name := range AllActions.Names() {
		a, _ := ParseAction(name)
		asked := q.Action.Has(a)
		if !asked && (a != Overwrite || !mayExist) {
			continue
		}
		ok, d := ref.may(p, q.Repository, a, tag, unknown)
		ok, depends = ok || admin, depends || d && !admin
		switch {
		case !ok && asked:
			refused |= a
		case !ok:
			overwrites = false
		}
	}
	switch {
	case refused == Delete && depends:
		return false, AskTags
	case refused != 0:
		return false, AskNothing
	case !overwrites:
		return false, AskAbsent
	}
	if slices.Contains(above, "immutable") {
		return true, AskNothing
	}
	for _, project := range ref.cfg.Projects {
		for _, i := range project.Immutable {
			if !ref.patterns(project.Patterns, q.Repository, p, true) {
				continue
			}
			protected := tag != "" && ref.tags(i.Tags, tag)
			switch {
			case unknown:
				return false, AskTags
			case protected && q.Action&(Overwrite|Delete) != 0:
				return false, AskNothing
			case protected && mayExist:
				return false, AskAbsent
			}
		}
	}
	return true, AskNothing
}

// may is one action for one tag; depends: the outcome hangs on tags that are
// not known.
func (ref reference) may(p *authn.Principal, repository string, a Action, tag string, unknown bool) (allowed, depends bool) {
	maybeAllowed, maybeDenied := false, false
	about := func(g Grant, deny bool) bool {
		if !ref.actions(g).Has(a) || g.Shadow || !ref.holds(g.Subjects, g.Mapped, p) && (!deny || !ref.unread(g.Subjects, p)) {
			return false
		}
		switch {
		case len(g.Tags) == 0 || a&(Push|Overwrite|Delete) == 0:
			return true
		case tag != "":
			return ref.tags(g.Tags, tag)
		case a == Delete && unknown && deny:
			maybeDenied = true
			return false
		case a == Delete && unknown:
			maybeAllowed = true
			return false
		case a == Delete:
			return false
		}
		return !deny
	}
	if ref.facts != nil && !p.IsAnonymous() {
		allowed = ref.facts.Permissions(p).on(TypeRepository, repository).Has(a) || ref.made(p, repository, a)
	}
	denied := false
	for _, project := range ref.cfg.Projects {
		here := ref.patterns(project.Patterns, repository, p, false)
		for _, g := range project.Grants {
			allowed = here && about(g, false) || allowed
		}
		for _, g := range project.Denies {
			denied = (here || ref.open(project.Patterns, repository, p)) && about(g, true) || denied
		}
	}
	for _, g := range ref.cfg.Denies {
		denied = about(g, true) || denied
	}
	if a&(Pull|List) != 0 {
		for _, r := range ref.cfg.AnonymousRead {
			allowed = allowed || ref.patterns(r.Patterns, repository, p, false)
		}
		for _, r := range ref.cfg.AuthenticatedRead {
			allowed = allowed || !p.IsAnonymous() && ref.patterns(r.Patterns, repository, p, false)
		}
	}
	depends = !denied && (maybeAllowed && !allowed || maybeDenied && (allowed || maybeAllowed))
	return allowed && !denied && !maybeDenied, depends
}

func (ref reference) actions(g Grant) Action {
	if g.Role != "" {
		return builtinRoles[g.Role]
	}
	var set Action
	for _, name := range g.Actions {
		a, _ := ParseAction(name)
		set |= a
	}
	return set
}

// foreign reports whether somebody else owns the repository, or its namespace,
// where that matters.
func (ref reference) foreign(p *authn.Principal, repository string) bool {
	return ref.facts != nil && slices.ContainsFunc(ref.cfg.OwnerOnly, func(o OwnerOnly) bool {
		by, name := OwnedRepository, repository
		if o.By == "namespace" {
			by, name = OwnedNamespace, strings.Split(repository, "/")[0]
		}
		owner := ref.facts.Owner(by, name)
		return (len(o.Patterns) == 0 || ref.patterns(o.Patterns, repository, p, true)) && owner != nil && !ref.owns(p, owner)
	})
}

func (reference) owns(p *authn.Principal, o *Ownership) bool {
	if p.IsAnonymous() {
		return false
	}
	if o.Identity != "" {
		return p.Identity().ID() == o.Identity
	}
	return string(p.Kind)+":"+p.Name == o.Principal
}

// made reports whether the principal may do something as who has created the
// repository.
func (ref reference) made(p *authn.Principal, repository string, a Action) bool {
	owner := ref.facts.Owner(OwnedRepository, repository)
	return owner != nil && owner.Created && ref.owns(p, owner) && slices.ContainsFunc(ref.cfg.CreatorRoles, func(c CreatorRole) bool {
		return builtinRoles[c.Role].Has(a) && (len(c.Patterns) == 0 || ref.patterns(c.Patterns, repository, p, true))
	})
}

// holds reports whether a rule is about a principal, by the sources of roles
// that count for it.
func (ref reference) holds(list []string, mapped bool, p *authn.Principal) bool {
	isRole := func(text string) bool { return strings.HasPrefix(text, "role:") }
	names := slices.DeleteFunc(slices.Clone(list), isRole)
	sources := ref.sources(p)
	if mapped {
		return slices.Contains(sources, "application") && ref.subjects(names, p)
	}
	if ref.subjects(names, p) {
		return true
	}
	return slices.ContainsFunc(list, func(text string) bool {
		return isRole(text) && slices.ContainsFunc(sources, func(source string) bool {
			return slices.Contains(ref.rolesOf(source, p), text[len("role:"):])
		})
	})
}

// unread reports whether the principal's credential leaves open whether a rule
// is about the principal.
func (ref reference) unread(list []string, p *authn.Principal) bool {
	token := len(ref.cfg.RoleSources) == 0 || slices.Contains(ref.cfg.RoleSources, "token")
	return !p.IsAnonymous() && slices.ContainsFunc(list, func(text string) bool {
		kind, name, _ := strings.Cut(text, ":")
		switch kind {
		case "group":
			return p.GroupsUnread
		case "role":
			return p.RolesUnread && token
		case "claim":
			path, _, _ := strings.Cut(name, "=")
			v, ok := p.Claim(path)
			_, object := v.(map[string]any)
			return (!ok || object || v == nil) && (p.Kind != authn.KindRobot || p.Claims != nil)
		}
		return false
	})
}

// open reports whether a pattern matches if the placeholders stand for
// anything, and the principal's credential leaves one open.
func (ref reference) open(list []string, repository string, p *authn.Principal) bool {
	if p.IsAnonymous() {
		return false
	}
	_, ofClaim := p.Claim("t.x")
	return slices.ContainsFunc(list, func(text string) bool {
		groups := strings.Contains(text, "{groups}") && p.GroupsUnread
		claim := strings.Contains(text, "{claims.t.x}") && !ofClaim && (p.Kind != authn.KindRobot || p.Claims != nil)
		return (groups || claim) && ref.patterns([]string{text}, repository, p, true)
	})
}

func (reference) rolesOf(source string, p *authn.Principal) []string {
	switch {
	case p.IsAnonymous():
	case source == "token":
		return p.Roles
	case source == "header":
		return p.HeaderRoles
	}
	return nil
}

// sources are those whose roles count for a principal: all of them, or
// the first that has something for it.
func (ref reference) sources(p *authn.Principal) []string {
	all := ref.cfg.RoleSources
	if len(all) == 0 {
		all = []string{"token", "application", "header"}
	}
	if !ref.cfg.FirstRoleSource {
		return all
	}
	for _, source := range all {
		if source == "application" && ref.isMapped(p) || slices.ContainsFunc(ref.rolesOf(source, p), ref.mentioned) {
			return []string{source}
		}
	}
	return nil
}

func (ref reference) isMapped(p *authn.Principal) bool {
	return slices.ContainsFunc(ref.rules(), func(g Grant) bool {
		return g.Mapped && ref.subjects(slices.DeleteFunc(slices.Clone(g.Subjects), func(s string) bool { return strings.HasPrefix(s, "role:") }), p)
	})
}

func (ref reference) mentioned(role string) bool {
	return slices.ContainsFunc(ref.rules(), func(g Grant) bool { return slices.Contains(g.Subjects, "role:"+role) })
}

// rules are all rules with subjects, those of administrators too.
func (ref reference) rules() (list []Grant) {
	for _, project := range ref.cfg.Projects {
		list = append(append(list, project.Grants...), project.Denies...)
	}
	for _, a := range ref.cfg.Admins {
		list = append(list, Grant{Subjects: a.Subjects, Mapped: a.Mapped})
	}
	return append(list, ref.cfg.Denies...)
}

func (reference) subjects(list []string, p *authn.Principal) bool {
	return slices.ContainsFunc(list, func(text string) bool {
		kind, name, _ := strings.Cut(text, ":")
		if kind == "anyone" {
			return true
		}
		if p.IsAnonymous() {
			return false
		}
		switch kind {
		case "authenticated":
			return true
		case "user", "robot", "workload":
			return string(p.Kind) == kind && p.Name == name
		case "group":
			return slices.Contains(p.Groups, name)
		case "claim":
			path, want, _ := strings.Cut(name, "=")
			v, _ := p.Claim(path)
			switch v := v.(type) {
			case bool:
				return v && want == "true" || !v && want == "false"
			default:
				return slices.Contains(authn.ClaimStrings(v), want)
			}
		}
		return false
	})
}

func (reference) tags(patterns []string, tag string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, ".*") + "$").MatchString(tag)
	})
}

func (ref reference) patterns(patterns []string, name string, p *authn.Principal, anybody bool) bool {
	return slices.ContainsFunc(patterns, func(text string) bool { return ref.pattern(text, name, p, anybody) })
}

var placeholder = regexp.MustCompile(`\\\{([a-z_.\\]+)\\\}`)

// pattern matches by way of a regular expression, one per group.
func (reference) pattern(text, name string, p *authn.Principal, anybody bool) bool {
	groups := []string{""}
	if strings.Contains(text, "{groups}") && !anybody && !p.IsAnonymous() {
		groups = p.Groups
	}
	return slices.ContainsFunc(groups, func(group string) bool {
		ok := true
		expression := placeholder.ReplaceAllStringFunc(regexp.QuoteMeta(text), func(s string) string {
			v := ""
			switch key := strings.NewReplacer(`\`, "", "{", "", "}", "").Replace(s); {
			case anybody:
				return "[^/]*"
			case p.IsAnonymous():
			case key == "user" && p.Kind == authn.KindUser:
				v = p.Name
			case key == "groups":
				v = group
			case strings.HasPrefix(key, "claims."):
				c, _ := p.Claim(strings.TrimPrefix(key, "claims."))
				v, _ = c.(string)
			}
			if !regexp.MustCompile(`^[a-z0-9._-]+$`).MatchString(v) || strings.Contains(v, "..") {
				ok = false
			}
			return regexp.QuoteMeta(v)
		})
		for _, r := range [][2]string{
			{`/\*\*/`, "/(.+/)?"}, {`\*\*/`, "(.+/)?"}, {`/\*\*`, "/.+"}, {`\*\*`, ".+"},
		} {
			expression = replaceDeep(expression, r[0], r[1])
		}
		expression = strings.ReplaceAll(expression, `\*`, "[^/]*")
		return ok && regexp.MustCompile("^"+expression+"$").MatchString(name)
	})
}

// replaceDeep replaces one spelling of "**", again and again: in a/**/b/**/c
// neighbours share a slash.
func replaceDeep(s, old, new string) string {
	for strings.Contains(s, old) {
		s = strings.Replace(s, old, new, 1)
	}
	return s
}
