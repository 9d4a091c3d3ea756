package management

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// HarborDocument reads what Harbor's GET /api/v2.0/robots answers, one page or
// several after another, and returns the robots as a document of ours has
// them, without secrets, which Harbor does not tell; and what could not be
// carried over. Prefix is what Harbor puts before the names: "robot$".
func HarborDocument(text []byte, prefix string) (robots []DocumentRobot, lost []string, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	for page := 1; d.More(); page++ {
		var list []harborRobot
		if err := d.Decode(&list); err != nil {
			return nil, nil, fmt.Errorf("page %d: want the list of robots that GET /api/v2.0/robots answers: %w", page, err)
		}
		for i := range list {
			r, notes := harborDocument(&list[i], prefix)
			lost = append(lost, notes...)
			switch {
			case r == nil:
			case slices.ContainsFunc(robots, func(o DocumentRobot) bool { return o.Name == r.Name }):
				lost = append(lost, fmt.Sprintf("robot %s: it is there twice", r.Name))
			default:
				robots = append(robots, *r)
			}
		}
	}
	return robots, lost, nil
}

// ourHarborName is a project's name as robots can have it.
var ourHarborName = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`)

// harborDocument returns nil for a robot that cannot be carried over.
func harborDocument(in *harborRobot, prefix string) (*DocumentRobot, []string) {
	name := strings.TrimPrefix(in.Name, prefix)
	var lost []string
	lose := func(format string, args ...any) { lost = append(lost, "robot "+name+": "+fmt.Sprintf(format, args...)) }
	if in.Level == levelProject && !strings.Contains(name, "+") {
		if len(in.Permissions) != 1 {
			lose("it is a project's, but which one?")
			return nil, lost
		}
		name = in.Permissions[0].Namespace + "+" + name
	}
	if err := authn.CheckRobotName(name); err != nil {
		lose("%v", err)
		return nil, lost
	}
	out := &DocumentRobot{Name: name, RobotSettings: RobotSettings{Description: in.Description, Disabled: in.Disable}}
	if in.ExpiresAt > 0 {
		out.Expires = timeOf(time.Unix(in.ExpiresAt, 0).UTC())
	}
	for i, p := range in.Permissions {
		var wrong problems
		actions, catalog := p.actions(at("permissions", i), &wrong)
		for _, w := range wrong {
			lose("%s: %s", w.Field, w.Detail)
		}
		if len(wrong) > 0 { // a denial, perhaps: better too little
			continue
		}
		for _, a := range p.Access {
			if a.Resource == "catalog" && a.Action == "read" {
				continue
			}
			if _, known := harborActions[harborAccess{Resource: a.Resource, Action: a.Action}]; !known {
				lose("%s on %s in %s means nothing here", a.Action, a.Resource, p.Namespace)
			}
		}
		if in.Level == levelProject && slices.Contains(actions, "push") && !slices.Contains(actions, "pull") {
			actions = slices.Insert(actions, 0, "pull")
		}
		switch {
		case p.Kind == levelSystem && catalog:
			out.Permissions = append(out.Permissions, Permission{Type: authz.TypeRegistry, Name: authz.CatalogName, Actions: []string{"*"}})
		case p.Kind == levelSystem || len(actions) == 0:
		case p.Namespace == "*":
			out.Permissions = append(out.Permissions, Permission{Type: authz.TypeRepository, Name: "**", Actions: actions})
		case !ourHarborName.MatchString(p.Namespace):
			lose("%.80q is no name of a project", p.Namespace)
		default:
			out.Permissions = append(out.Permissions, Permission{Type: authz.TypeRepository, Name: p.Namespace + "/**", Actions: actions})
		}
	}
	return out, lost
}
