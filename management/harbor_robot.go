package management

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// harborCreated is the answer to the creation of a robot.
type harborCreated struct {
	ID        int64      `json:"id"`
	Name      string     `json:"name"`
	Secret    string     `json:"secret"`
	Created   *time.Time `json:"creation_time"`
	ExpiresAt int64      `json:"expires_at"`
}

func (a *API) harborCreate(w http.ResponseWriter, c *call) error {
	in := harborRobot{Duration: -1}
	if err := harborBody(w, c, &in); err != nil {
		return err
	}
	m := a.manager
	name, input, err := m.harborInput(&in, nil)
	if err != nil {
		return err
	}
	input.Secret = in.Secret
	made, err := m.CreateRobot(c.request.Context(), c.who, NewRobot{Name: name, RobotInput: input})
	if err != nil {
		return err
	}
	shown := m.showHarbor(&made.Robot)
	w.Header().Set("Location", HarborPrefix+"/robots/"+strconv.FormatInt(shown.ID, 10))
	send(w, c.request, http.StatusCreated, harborCreated{
		ID: shown.ID, Name: shown.Name, Secret: made.Secret, Created: shown.Created, ExpiresAt: shown.ExpiresAt,
	})
	return nil
}

func (a *API) harborGet(w http.ResponseWriter, c *call) error {
	r, err := a.manager.harborByID(c.who, c.path["id"])
	if err != nil {
		return err
	}
	send(w, c.request, http.StatusOK, a.manager.showHarbor(r))
	return nil
}

func (a *API) harborUpdate(w http.ResponseWriter, c *call) error {
	m := a.manager
	before, err := m.harborByID(c.who, c.path["id"])
	if err != nil {
		return err
	}
	in := harborRobot{Duration: m.showHarbor(before).Duration}
	if err := harborBody(w, c, &in); err != nil {
		return err
	}
	_, input, err := m.harborInput(&in, before)
	if err != nil {
		return err
	}
	if _, _, err = m.PutRobot(c.request.Context(), c.who, before.Name, input, Match{Revision: before.revision}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (a *API) harborDelete(w http.ResponseWriter, c *call) error {
	r, err := a.manager.harborByID(c.who, c.path["id"])
	if err != nil {
		return err
	}
	if err := a.manager.DeleteRobot(c.request.Context(), c.who, r.Name, Match{}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// harborRefresh replaces the secret. As in Harbor, the old one ends at once.
func (a *API) harborRefresh(w http.ResponseWriter, c *call) error {
	r, err := a.manager.harborByID(c.who, c.path["id"])
	if err != nil {
		return err
	}
	var in struct {
		Secret string `json:"secret"`
	}
	if err := harborBody(w, c, &in); err != nil {
		return err
	}
	var atOnce int
	made, err := a.manager.RotateRobot(c.request.Context(), c.who, r.Name, Rotation{SecretInput: SecretInput{Secret: in.Secret}, Overlap: &atOnce}, Match{})
	if err != nil {
		return err
	}
	send(w, c.request, http.StatusOK, map[string]string{"secret": made.Secret})
	return nil
}

// harborPermission is what a robot may do in a namespace.
type harborPermission struct {
	Kind      string         `json:"kind"`
	Namespace string         `json:"namespace"`
	Access    []harborAccess `json:"access"`
}

type harborAccess struct {
	Resource string `json:"resource"`
	Action   string `json:"action"`
	Effect   string `json:"effect,omitempty"`
}

// Harbor knows more than a registry has: what means nothing here gives
// nothing, and is kept, so that it is read as it was written. What we know and
// Harbor does not has names that Harbor does not: repository:overwrite,
// repository:manage, and namespaces that are patterns.
var harborActions = map[harborAccess]string{
	{Resource: "repository", Action: "pull"}:      "pull",
	{Resource: "repository", Action: "push"}:      "push",
	{Resource: "repository", Action: "delete"}:    "delete",
	{Resource: "repository", Action: "list"}:      "list",
	{Resource: "repository", Action: "overwrite"}: "overwrite",
	{Resource: "repository", Action: "manage"}:    "manage",
	{Resource: "repository", Action: "read"}:      "list",
	{Resource: "artifact", Action: "list"}:        "list",
	{Resource: "artifact", Action: "delete"}:      "delete",
	{Resource: "tag", Action: "list"}:             "list",
}

// limitOrder is the order in which actions are written.
var limitOrder = []string{"pull", "push", "delete", "list", "overwrite", "manage"}

var harborWord = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)

// Bounds of what one call may say.
const (
	maxHarborPermissions = 500
	maxHarborAccess      = 200
)

// harborLimits returns what Harbor's permissions mean here. In a project who
// may push may pull, as in Harbor.
func (m *Manager) harborLimits(list []harborPermission, project bool) ([]Permission, error) {
	if len(list) == 0 || len(list) > maxHarborPermissions {
		return nil, invalid("permissions", "want 1 to %d", maxHarborPermissions)
	}
	var out []Permission
	for i, p := range list {
		var wrong problems
		actions, catalog := p.actions(at("permissions", i), &wrong)
		if err := wrong.err(); err != nil {
			return nil, err
		}
		if project && slices.Contains(actions, "push") && !slices.Contains(actions, "pull") {
			actions = slices.Insert(actions, 0, "pull")
		}
		switch {
		case p.Kind == levelSystem && p.Namespace == "/":
			if catalog {
				out = append(out, Permission{Type: authz.TypeRegistry, Name: authz.CatalogName, Actions: []string{"*"}})
			}
		case p.Kind == levelProject && p.Namespace != "":
			if len(actions) == 0 {
				continue
			}
			for _, pattern := range m.namespace(p.Namespace) {
				out = append(out, Permission{Type: authz.TypeRepository, Name: pattern, Actions: actions})
			}
		default:
			return nil, invalid(at("permissions", i), `want kind "project" with the name of a project or "*", or kind "system" with namespace "/"`)
		}
	}
	return out, nil
}

// actions returns what the accesses mean, and whether the catalog is among it.
func (p harborPermission) actions(field string, wrong *problems) (actions []string, catalog bool) {
	if len(p.Access) == 0 || len(p.Access) > maxHarborAccess {
		wrong.add(field+".access", "want 1 to %d", maxHarborAccess)
		return nil, false
	}
	for i, a := range p.Access {
		inner := at(field+".access", i)
		switch {
		case !harborWord.MatchString(a.Resource) || !harborWord.MatchString(a.Action):
			wrong.add(inner, "bad request permission: %.64s:%.64s", a.Resource, a.Action)
		case a.Effect != "" && a.Effect != "allow":
			wrong.add(inner, "effect %.20q: only allow is known", a.Effect)
		}
		catalog = catalog || a.Resource == "catalog" && a.Action == "read"
		if known, ok := harborActions[harborAccess{Resource: a.Resource, Action: a.Action}]; ok && !slices.Contains(actions, known) {
			actions = append(actions, known)
		}
	}
	slices.SortFunc(actions, func(x, y string) int { return slices.Index(limitOrder, x) - slices.Index(limitOrder, y) })
	return actions, catalog
}

// namespace returns the patterns that a namespace of Harbor's is: those of the
// project, all below the name if there is no such project, or itself if it is
// a pattern.
func (m *Manager) namespace(name string) []string {
	switch {
	case name == "*":
		return []string{"**"}
	case strings.ContainsAny(name, "*/"):
		return []string{name}
	}
	return m.patternsOf(name)
}

// harborPermissions returns a robot's permissions in Harbor's words: those
// that it was given by such a call, as long as they mean what it has.
func (m *Manager) harborPermissions(r *Robot) []harborPermission {
	if item, ok := m.state.Robots.Get(r.Name); ok && len(item.Value.Harbor) > 0 && r.Source == sourceStore {
		var kept []harborPermission
		if json.Unmarshal(item.Value.Harbor, &kept) == nil {
			if meant, err := m.harborLimits(kept, r.Project != ""); err == nil && reflect.DeepEqual(meant, r.Permissions) {
				return kept
			}
		}
	}
	out := []harborPermission{}
	for _, p := range r.Permissions {
		out = append(out, m.toHarbor(p))
	}
	return out
}

// toHarbor is a permission in Harbor's words.
func (m *Manager) toHarbor(p Permission) harborPermission {
	if p.Type == authz.TypeRegistry {
		return harborPermission{levelSystem, "/", []harborAccess{{"catalog", "read", "allow"}}}
	}
	out := harborPermission{Kind: levelProject, Namespace: m.toNamespace(p.Name)}
	actions := p.Actions
	if slices.Contains(actions, "*") {
		actions = limitOrder
	}
	for _, action := range actions {
		out.Access = append(out.Access, harborAccess{"repository", action, "allow"})
	}
	return out
}

// toNamespace is a pattern in Harbor's words, one that [Manager.namespace]
// reads as that pattern and nothing else.
func (m *Manager) toNamespace(pattern string) string {
	if pattern == "**" {
		return "*"
	}
	if name, ok := strings.CutSuffix(pattern, "/**"); ok && !strings.ContainsAny(name, "*/") && slices.Equal(m.namespace(name), []string{pattern}) {
		return name
	}
	return pattern
}
