package authz

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// subjectID is an interned subject: all rules that name the same one share it.
type subjectID uint32

// The subjects that need no name.
const (
	idAnyone subjectID = iota
	idAuthenticated
	idFirst
)

var subjectKinds = []string{
	"user:name", "group:name", "role:name", "robot:name", "workload:name", "claim:path=value", "authenticated", "anyone",
}

// subjects interns every subject that a policy mentions.
type subjects struct {
	users, groups, roles, robots, workloads map[string]subjectID
	claims                                  []claimSubjects
	names                                   []string // by id

	// denied are those of deny rules.
	denied deniedSubjects

	sources     []roleSource
	firstSource bool
	mapped      map[subjectID]subjectID // see mappedID

	// stored returns the names of roles that are stored for somebody; nil
	// where rules are entered for them, see mappedID.
	stored func(*authn.Principal) []string
}

// claimSubjects are the values of one claim that a policy mentions.
type claimSubjects struct {
	path   string
	values map[string]subjectID
}

func newSubjects() *subjects {
	return &subjects{
		users: map[string]subjectID{}, groups: map[string]subjectID{}, roles: map[string]subjectID{},
		robots: map[string]subjectID{}, workloads: map[string]subjectID{},
		names: []string{idAnyone: "anyone", idAuthenticated: "authenticated"},
	}
}

// The subjects that need no name, as rules spell them.
const (
	anyone        = "anyone"
	authenticated = "authenticated"
)

// ParseSubject reads a subject as rules spell it, wherever it comes from: the
// kind, such as "group", and the name. Of anyone and authenticated the name is
// empty. A name without a kind is refused: it is nobody's.
func ParseSubject(text string) (kind, name string, err error) {
	if text == anyone || text == authenticated {
		return text, "", nil
	}
	kind, name, ok := strings.Cut(text, ":")
	switch {
	case !ok && Nearest(text, []string{anyone, authenticated}) != "":
		return "", "", fmt.Errorf("subject %q: %w", text, unknown("subject", text, []string{anyone, authenticated}))
	case !ok:
		return "", "", fmt.Errorf("subject %q: the kind is missing, as in user:%[1]s or group:%[1]s", text)
	case !slices.ContainsFunc(subjectKinds, func(k string) bool { return strings.HasPrefix(k, kind+":") }):
		return "", "", fmt.Errorf("subject %q: %w", text, unknown("subject kind", kind,
			[]string{"user", "group", "role", "robot", "workload", "claim"}))
	case kind == "claim":
		if path, value, _ := strings.Cut(name, "="); path == "" || value == "" {
			return "", "", fmt.Errorf("subject %q: want claim:path=value", text)
		}
	case name == "":
		return "", "", fmt.Errorf("subject %q: the name is missing", text)
	}
	return kind, name, nil
}

// intern returns the id of a subject as the configuration spells it.
func (t *subjects) intern(text string) (subjectID, error) {
	kind, name, err := ParseSubject(text)
	if err != nil {
		return 0, err
	}
	switch kind {
	case anyone:
		return idAnyone, nil
	case authenticated:
		return idAuthenticated, nil
	case "claim":
		path, value, _ := strings.Cut(name, "=")
		return t.add(t.claim(path), value, text), nil
	}
	return t.add(t.table(kind), name, text), nil
}

// table returns the names of one kind of subject, nil if there is no such kind.
func (t *subjects) table(kind string) map[string]subjectID {
	switch kind {
	case "user":
		return t.users
	case "group":
		return t.groups
	case "role":
		return t.roles
	case "robot":
		return t.robots
	case "workload":
		return t.workloads
	}
	return nil
}

func (t *subjects) add(names map[string]subjectID, name, text string) subjectID {
	id, ok := names[name]
	if !ok {
		id = subjectID(len(t.names))
		names[name] = id
		t.names = append(t.names, text)
	}
	return id
}

func (t *subjects) claim(path string) map[string]subjectID {
	for _, c := range t.claims {
		if c.path == path {
			return c.values
		}
	}
	values := map[string]subjectID{}
	t.claims = append(t.claims, claimSubjects{path, values})
	return values
}

// Subject is a principal in the terms of one policy: which of the subjects
// that its rules mention the principal is. It may be kept as long as the
// policy is in force.
type Subject struct {
	policy    *Policy
	principal *authn.Principal
	ids       []subjectID
	unread    []subjectID // see [subjects.unread]
}

// Principal returns who this is.
func (s *Subject) Principal() *authn.Principal { return s.principal }

// manyIDs is from when on ids are sorted and searched.
const manyIDs = 16

// is reports whether a subject is among those that a principal is.
func is(ids []subjectID, id subjectID) bool {
	if len(ids) < manyIDs {
		for _, have := range ids {
			if have == id {
				return true
			}
		}
		return false
	}
	_, ok := slices.BinarySearch(ids, id)
	return ok
}

// resolve appends the ids of everything that the principal is. A principal
// of an unknown kind is anyone, nothing else.
func (t *subjects) resolve(p *authn.Principal, ids []subjectID) []subjectID {
	ids, known := t.resolveWho(p, ids)
	if !known {
		return ids
	}
	ids = t.resolveRoles(p, ids)
	if len(ids) >= manyIDs {
		slices.Sort(ids)
		ids = slices.Compact(ids)
	}
	return ids
}

// resolveWho appends the ids of what the principal is, but for its roles. It
// reports whether there is somebody who can have some.
func (t *subjects) resolveWho(p *authn.Principal, ids []subjectID) ([]subjectID, bool) {
	ids = append(ids, idAnyone)
	if p.IsAnonymous() {
		return ids, false
	}
	var names map[string]subjectID
	switch p.Kind {
	case authn.KindUser:
		names = t.users
	case authn.KindRobot:
		names = t.robots
	case authn.KindWorkload:
		names = t.workloads
	default:
		return ids, false
	}
	ids = appendID(append(ids, idAuthenticated), names, p.Name)
	for _, g := range p.Groups {
		ids = appendID(ids, t.groups, g)
	}
	for i := range t.claims {
		if v, ok := p.Claim(t.claims[i].path); ok {
			ids = appendClaim(ids, t.claims[i].values, v)
		}
	}
	return ids, true
}

func appendID(ids []subjectID, names map[string]subjectID, name string) []subjectID {
	if id, ok := names[name]; ok {
		ids = append(ids, id)
	}
	return ids
}

// appendClaim compares a claim as text, and each member of an array: the
// subject claim:admin=true holds for true and for "true".
func appendClaim(ids []subjectID, values map[string]subjectID, claim any) []subjectID {
	switch v := claim.(type) {
	case []any:
		for _, member := range v {
			if _, nested := member.([]any); !nested {
				ids = appendClaim(ids, values, member)
			}
		}
	case []string:
		for _, member := range v {
			ids = appendID(ids, values, member)
		}
	default:
		if text, ok := claimText(v); ok {
			ids = appendID(ids, values, text)
		}
	}
	return ids
}

// claimText is a single-valued claim as the configuration spells it.
func claimText(claim any) (string, bool) {
	switch v := claim.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// SubjectSet is a list of subjects outside of a policy, for what is not a
// repository: who has a role in the registry's own interface, for example. It
// is immutable.
type SubjectSet struct {
	subjects *subjects
	wanted   []bool // by id
}

// NewSubjectSet compiles subjects as the configuration spells them. The error
// joins everything that is wrong with them.
func NewSubjectSet(list []string) (*SubjectSet, error) {
	s := &SubjectSet{subjects: newSubjects()}
	var errs []error
	for _, text := range list {
		id, err := s.subjects.intern(text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if s.wanted == nil || int(id) >= len(s.wanted) {
			s.wanted = append(s.wanted, make([]bool, int(id)+1-len(s.wanted))...)
		}
		s.wanted[id] = true
	}
	return s, errors.Join(errs...)
}

// Needs returns keep with what [SubjectSet.Has] looks at.
func (s *SubjectSet) Needs(keep Keep) Keep {
	keep.Groups = keep.Groups || len(s.subjects.groups) > 0
	keep.Roles = keep.Roles || len(s.subjects.roles) > 0
	for _, c := range s.subjects.claims {
		keep.Claims = append(keep.Claims, c.path)
	}
	return keep
}

// Has reports whether a principal is one of the subjects. Roles are those from
// the sources that the policy in force takes them from; of stored role mappings
// those count that are for the whole registry.
func (s *SubjectSet) Has(p *authn.Principal, policy *Policy) bool {
	t := *s.subjects
	t.sources, t.firstSource = policy.subjects.sources, policy.subjects.firstSource
	t.stored = policy.mappedRoles
	return slices.ContainsFunc(t.resolve(p, nil), func(id subjectID) bool {
		return int(id) < len(s.wanted) && s.wanted[id]
	})
}
