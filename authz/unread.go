package authz

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// deniedSubjects are the groups, roles and claims that deny rules name. A
// credential that does not say whether its holder is one of them is denied as
// if it said so: otherwise its holder, who often chooses what it says, could
// switch such a rule off.
type deniedSubjects struct {
	groups, roles []subjectID
	claims        []deniedClaim

	// open are deny rules at patterns with placeholders for them.
	open []openDeny
}

type deniedClaim struct {
	path string
	ids  []subjectID
}

// openDeny is a deny rule for a subject at a pattern whose placeholders a
// credential may leave open: it holds there for every value then.
type openDeny struct {
	subject subjectID
	rule    *Rule
	groups  bool
	claims  []string
	wide    string // the pattern, with "*" for each placeholder
}

// addAt takes note of the pattern of a deny rule.
func (d *deniedSubjects) addAt(p pattern, id subjectID, r *Rule) {
	o := openDeny{subject: id, rule: r}
	wide := make([]string, len(p.segments))
	for i, s := range p.wildcards().segments {
		wide[i] = s.text
	}
	o.wide = strings.Join(wide, "/")
	for _, s := range p.segments {
		for _, q := range s.parts {
			o.groups = o.groups || q.kind == partGroups
			if q.kind == partClaim {
				o.claims = append(o.claims, q.text)
			}
		}
	}
	if o.groups || o.claims != nil {
		d.open = append(d.open, o)
	}
}

// leaves reports whether the principal's credential leaves the pattern open.
func (o *openDeny) leaves(p *authn.Principal) bool {
	return o.groups && p.GroupsUnread || mayHaveClaims(p) && slices.ContainsFunc(o.claims, func(path string) bool {
		v, _ := p.Claim(path)
		_, text := v.(string)
		return !text
	})
}

// add takes note of a subject that a deny rule names, as it is written.
func (d *deniedSubjects) add(text string, id subjectID) {
	switch kind, name, _ := strings.Cut(text, ":"); kind {
	case "group":
		d.groups = append(d.groups, id)
	case "role":
		d.roles = append(d.roles, id)
	case "claim":
		path, _, _ := strings.Cut(name, "=")
		i := slices.IndexFunc(d.claims, func(c deniedClaim) bool { return c.path == path })
		if i < 0 {
			i = len(d.claims)
			d.claims = append(d.claims, deniedClaim{path: path})
		}
		d.claims[i].ids = append(d.claims[i].ids, id)
	}
}

// finish leaves each subject once, and returns what tells these groups and roles
// from others: names are those of all subjects. Empty: there are none.
func (d *deniedSubjects) finish(names []string, all mentions) (kept string) {
	once := func(ids []subjectID) []subjectID {
		slices.Sort(ids)
		return slices.Clip(slices.Compact(ids))
	}
	d.groups, d.roles = once(d.groups), once(d.roles)
	for i := range d.claims {
		d.claims[i].ids = once(d.claims[i].ids)
	}
	if len(d.groups)+len(d.roles) == 0 && !all.groups && !all.roles {
		return ""
	}
	texts := []string{strconv.FormatBool(all.groups), strconv.FormatBool(all.roles)}
	for _, id := range slices.Concat(d.groups, d.roles) {
		texts = append(texts, names[id])
	}
	slices.Sort(texts[2:])
	const enough = 9 // bytes: nobody gains by a collision who does not write the rules
	sum := sha256.Sum256([]byte(strings.Join(texts, "\n")))
	return base64.RawURLEncoding.EncodeToString(sum[:enough])
}

// stale reports whether a registry token was issued when other groups or roles
// mattered to deny rules: it carries no others. Whoever holds it gets a new one.
func (p *Policy) stale(principal *authn.Principal) bool {
	return p.kept != "" && principal != nil && principal.Credential == authn.CredentialRegistryToken &&
		(principal.Kind == authn.KindUser || principal.Kind == authn.KindWorkload) && principal.Kept != p.kept
}

func (d *deniedSubjects) none() bool {
	return len(d.groups) == 0 && len(d.roles) == 0 && len(d.claims) == 0
}

// unread returns the subjects of deny rules of which the principal's
// credential does not say whether the principal is one.
func (t *subjects) unread(p *authn.Principal) []subjectID {
	if t.denied.none() || p.IsAnonymous() {
		return nil
	}
	var ids []subjectID
	if p.GroupsUnread {
		ids = append(ids, t.denied.groups...)
	}
	if p.RolesUnread && slices.Contains(t.sources, rolesOfToken) || p.HeaderRolesUnread && slices.Contains(t.sources, rolesOfHeader) {
		ids = append(ids, t.denied.roles...)
	}
	if mayHaveClaims(p) {
		for i := range t.denied.claims {
			if v, ok := p.Claim(t.denied.claims[i].path); !ok || !readable(v) {
				ids = append(ids, t.denied.claims[i].ids...)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// mayHaveClaims reports whether a claim that is missing could be there. A robot
// with a secret has none, and that is known; people and jobs could come with
// another token.
func mayHaveClaims(p *authn.Principal) bool {
	return !p.IsAnonymous() && (p.Kind != authn.KindRobot || p.Claims != nil)
}

// readable reports whether a claim can be compared with the values that rules
// name: all of it, see [appendClaim].
func readable(claim any) bool {
	switch v := claim.(type) {
	case string, bool, float64, int, int64, json.Number, []string:
		return true
	case []any:
		return !slices.ContainsFunc(v, func(member any) bool {
			_, nested := member.([]any)
			return nested || !readable(member)
		})
	}
	return false
}

// visitUnread adds the deny rules that hold because the credential does not
// say whether they do.
func (e *evaluation) visitUnread(b *bucket, f *facts, t *tally) {
	for i := range b.entries {
		if en := &b.entries[i]; en.rule.Kind == RuleDeny && is(e.unread, en.subject) && e.consider(en.rule, f, t) {
			return
		}
	}
}

// visitOpen adds the deny rules whose patterns the credential leaves open.
func (e *evaluation) visitOpen(open []openDeny, f *facts, t *tally) {
	for i := range open {
		o := &open[i]
		if o.leaves(f.principal) && (is(e.ids, o.subject) || is(e.unread, o.subject)) && matchPattern(o.wide, f.query.Repository) && e.consider(o.rule, f, t) {
			return
		}
	}
}

// unreadReason says why a rule holds of which the credential does not say
// whether it does.
const unreadReason = ", which holds because the credential does not say whether it does: groups, roles or claims that the rule names are missing or in a form that cannot be read"
