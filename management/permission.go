package management

import (
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// Permission is what may be done on some repositories, in the vocabulary of
// registry tokens: who may pull may list the tags, who may push may move them.
type Permission struct {
	Type    string   `json:"type,omitempty" doc:"repository, if it is not given; or registry, whose only name is catalog." enum:"repository,registry"`
	Name    string   `json:"name" doc:"The pattern of the repositories: * is one path segment or part of one, ** any number of them." min:"1" max:"512"`
	Actions []string `json:"actions" doc:"What may be done." min:"1" max:"7" enum:"pull,push,delete,overwrite,list,manage,*"`
}

func permissionsOf(list []authn.Limit) []Permission {
	var out []Permission
	for _, l := range list {
		p := Permission(l)
		if p.Type == "" {
			p.Type = authz.TypeRepository
		}
		out = append(out, p)
	}
	return out
}

// limitsOf checks permissions and returns them as they are stored.
func limitsOf(field string, list []Permission, wrong *problems) []authn.Limit {
	var out []authn.Limit
	for i, p := range list {
		l := authn.Limit(p)
		if l.Type == "" {
			l.Type = authz.TypeRepository
		}
		if _, err := authz.NewPermissions("", []authn.Limit{l}); err != nil {
			wrong.add(at(field, i), "%v", trimIndex(err))
			continue
		}
		out = append(out, l)
	}
	return out
}

// withinProject reports whether a permission is about nothing but a project.
func withinProject(l authn.Limit, patterns []string) bool {
	if l.Type != authz.TypeRepository {
		return false
	}
	for _, p := range patterns {
		if authz.Within(l.Name, p) {
			return true
		}
	}
	return false
}
