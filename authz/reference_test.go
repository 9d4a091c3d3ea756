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
type reference struct{ cfg Config }

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
		if ref.subjects(a.Subjects, p) {
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
		if !ref.actions(g).Has(a) || g.Shadow || !ref.subjects(g.Subjects, p) {
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
	denied := false
	for _, project := range ref.cfg.Projects {
		if !ref.patterns(project.Patterns, repository, p, false) {
			continue
		}
		for _, g := range project.Grants {
			allowed = about(g, false) || allowed
		}
		for _, g := range project.Denies {
			denied = about(g, true) || denied
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
		case "role":
			return slices.Contains(p.Roles, name)
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
