package authz

import (
	"errors"
	"slices"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

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
