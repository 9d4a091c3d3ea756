package management

import (
	"hash/fnv"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// Robot is a robot as it is shown. There is never a secret in it.
type Robot struct {
	Name    string   `json:"name" doc:"The name, with project and + before it if it belongs to one." max:"128"`
	Project string   `json:"project,omitempty" doc:"The project that it belongs to." max:"128"`
	Logins  []string `json:"logins" doc:"The user names that it may log in with."`
	Number  int64    `json:"number" doc:"What Harbor's calls know it by."`
	RobotSettings
	Secrets   []RobotSecret `json:"secrets" doc:"What it may log in with, without the secrets themselves."`
	Created   *time.Time    `json:"created,omitempty"`
	CreatedBy string        `json:"created_by,omitempty" doc:"Who made it." max:"600"`
	Updated   *time.Time    `json:"updated,omitempty"`
	LastUsed  *LastUsed     `json:"last_used,omitempty" doc:"When and from where it was used last, as of half a minute ago."`
	Source    string        `json:"source" doc:"store, or where the configuration declares it. What is declared cannot be changed here." max:"512"`
	Superseded

	versioned
}

// RobotSettings are what there is to say of a robot.
type RobotSettings struct {
	Description string       `json:"description,omitempty" max:"1000"`
	Disabled    bool         `json:"disabled,omitempty" doc:"It cannot log in, and registry tokens that it has end at once."`
	Expires     *time.Time   `json:"expires,omitempty" doc:"When it ends, to the second. Absent: never."`
	From        []string     `json:"from,omitempty" doc:"The networks that it is accepted from, such as 10.0.0.0/8. Absent: from anywhere." max:"100"`
	Permissions []Permission `json:"permissions,omitempty" doc:"What it may do. Never more than who makes it may do." max:"500"`
}

// RobotSecret is one of a robot's secrets.
type RobotSecret struct {
	ID      string     `json:"id" doc:"What logs call the secret." max:"64"`
	Chosen  bool       `json:"chosen,omitempty" doc:"Somebody chose it, or gave only its hash of that kind: it is as good as they were careful."`
	Created *time.Time `json:"created,omitempty"`
	Until   *time.Time `json:"until,omitempty" doc:"When it ends, if it was replaced."`
}

// LastUsed is when and from where something was used last.
type LastUsed struct {
	At     time.Time `json:"at"`
	Remote string    `json:"remote,omitempty" max:"64"`
	Agent  string    `json:"agent,omitempty" max:"200"`
}

// sourceStore is where what can be changed comes from.
const sourceStore = "store"

// showRobot makes what is shown of a stored robot.
func (m *Manager) showRobot(r *state.Robot, revision uint64) *Robot {
	out := &Robot{
		Name: r.Name, Project: r.Project(), Logins: m.logins(r.Name), Number: r.Number,
		RobotSettings: RobotSettings{
			Description: r.Description, Disabled: r.Disabled, Expires: timeOf(r.Expires), From: r.From,
			Permissions: permissionsOf(r.Permissions),
		},
		Secrets: []RobotSecret{}, Created: timeOf(r.Created), CreatedBy: r.CreatedBy, Updated: timeOf(r.Updated),
		LastUsed: m.lastUsed(m.state.Robots.Kind(), r.Name), Source: sourceStore, versioned: versioned{revision},
		Superseded: m.superseded(m.takenBy(r.Name)),
	}
	for _, s := range r.Secrets {
		if !s.Until.IsZero() && !m.now().Before(s.Until) {
			continue
		}
		out.Secrets = append(out.Secrets, showSecret(s.Hash, s.Created, s.Until))
	}
	return out
}

func showSecret(stored string, created, until time.Time) RobotSecret {
	s := RobotSecret{Created: timeOf(created), Until: timeOf(until)}
	if hash, err := authn.ParseHash(stored); err == nil {
		s.ID, s.Chosen = authn.HashID(hash), hash.Slow()
	}
	return s
}

// showDeclared makes what is shown of a robot of the configuration.
func (m *Manager) showDeclared(d *DeclaredRobot) *Robot {
	r := &Robot{
		Name: d.Name, Project: (&state.Robot{Name: d.Name}).Project(), Logins: m.logins(d.Name), Number: declaredNumber(d.Name),
		RobotSettings: RobotSettings{Disabled: d.Disabled, From: d.From, Permissions: permissionsOf(d.Permissions)},
		Secrets:       []RobotSecret{}, Source: sourceOr(d.Source), LastUsed: m.lastUsed(m.state.Robots.Kind(), d.Name),
	}
	if expires, err := authn.ParseExpiry(d.Expires); err == nil {
		r.Expires = timeOf(expires)
	}
	for _, stored := range d.SecretHashes {
		r.Secrets = append(r.Secrets, showSecret(stored, time.Time{}, time.Time{}))
	}
	return r
}

// logins are the user names of a robot, the one that can only be a robot's
// first.
func (m *Manager) logins(name string) []string {
	var list []string
	for _, prefix := range m.prefixes {
		list = append(list, prefix+name)
	}
	return append(list, name)
}

// declaredRobot returns the robot of that name in the configuration.
func (m *Manager) declaredRobot(name string) *DeclaredRobot {
	i := slices.IndexFunc(m.declared.Robots, func(d DeclaredRobot) bool { return d.Name == name })
	if i < 0 {
		return nil
	}
	return &m.declared.Robots[i]
}

func (m *Manager) lastUsed(kind, id string) *LastUsed {
	u, ok := m.state.LastUsed(kind, id)
	if !ok {
		return nil
	}
	return &LastUsed{At: u.At, Remote: u.Remote, Agent: u.Agent}
}

// timeIn returns the time that may be given.
func timeIn(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// timeOf returns nil for no time.
func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// managesRobot reports whether the caller may change a robot of that name,
// whether or not there is one: administrators may, and who manages all of the
// robot's project.
func (m *Manager) managesRobot(who *Caller, name string) bool {
	project := (&state.Robot{Name: name}).Project()
	if project == "" {
		return m.admin(who)
	}
	return m.manages(who, m.patternsOf(project))
}

// isRobot reports whether the caller is the robot of that name.
func isRobot(who *Caller, name string) bool {
	return who.Principal != nil && who.Principal.Kind == authn.KindRobot && who.Principal.Name == name
}

// RobotQuery says which robots are listed.
type RobotQuery struct {
	PageQuery
	// Project, if it is not empty, whose robots.
	Project string
	// Text, if it is not empty, is in the name or in the description.
	Text string
}

// Robots lists the robots that the caller may change, and itself, those of
// the configuration included.
func (m *Manager) Robots(who *Caller, q RobotQuery) (*Page[*Robot], error) {
	if err := needs(who, ScopeRobotsRead); err != nil {
		return nil, err
	}
	return page(q.PageQuery, m.visibleRobots(who, q), listedRobot.id, m.showListed)
}

// Robot returns a robot. One that the caller may not change does not exist.
func (m *Manager) Robot(who *Caller, name string) (*Robot, error) {
	if !isRobot(who, name) {
		if err := needs(who, ScopeRobotsRead); err != nil {
			return nil, err
		}
		if !m.managesRobot(who, name) {
			return nil, noRobot(name)
		}
	}
	if d := m.declaredRobot(name); d != nil {
		return m.showDeclared(d), nil
	}
	item, ok := m.state.Robots.Get(name)
	if !ok {
		return nil, noRobot(name)
	}
	return m.showRobot(item.Value, item.Revision), nil
}

func noRobot(name string) error { return fail(CodeNotFound, "there is no robot %.128q", name) }

// forgetName adds to a change that what a robot's name was given goes with the
// robot: memberships, its role, and what it owns. The next robot of that name is
// another one. What the change is about already is left as the change has it.
func (m *Manager) forgetName(tx *state.Tx, who *Caller, p *authn.Principal, already map[state.Object]bool) {
	subject := p.String()
	about := func(o state.Object) bool { return already[state.Object{Kind: o.Kind, ID: o.ID}] }
	for _, item := range m.state.Projects.Sorted() {
		kept, found := without(item.Value.Members, subject)
		if !found || about(projectObject(item.ID)) {
			continue
		}
		next := *item.Value
		next.Members = kept
		state.Put(tx, m.state.Projects, item.ID, &next, state.Unchanged(item))
		tx.Note(who.Actor(), "project.member", projectObject(item.ID), projectView(item.Value), projectView(&next))
	}
	if item, ok := m.state.RoleMappings.Get(subject); ok && !about(mappingObject(item.ID)) {
		state.Delete(tx, m.state.RoleMappings, item.ID, state.Unchanged(item))
		tx.Note(who.Actor(), "role_mapping.delete", mappingObject(item.ID), showMapping(item), nil)
	}
	for item := range m.state.Owners.All() {
		if ownedBy(item.Value, p) && !about(state.Object{Kind: m.state.Owners.Kind(), ID: item.ID}) {
			state.Delete(tx, m.state.Owners, item.ID, state.Unchanged(item))
			tx.Note(who.Actor(), "owner.delete", ownerObject(ownedName(item.ID)), showOwner(item), nil)
		}
	}
}

// handedRobot is what whoever has a robot's secret has.
func handedRobot(r *state.Robot) handed {
	return handed{robot: r.Name, permissions: r.Permissions, from: r.From, expires: r.Expires}
}

// ownsSomething reports whether a principal owns what only its owner may change,
// or what its creator has rights in.
func (m *Manager) ownsSomething(p *authn.Principal) bool {
	for item := range m.state.Owners.All() {
		kind, name, _ := strings.Cut(item.ID, "/")
		if by, err := authz.ParseOwnedBy(kind); err == nil && ownedBy(item.Value, p) && m.policy().OwnersMatter(by, name) {
			return true
		}
	}
	return false
}

// ownedBy reports whether a record is that of a principal.
func ownedBy(o *state.Owner, p *authn.Principal) bool {
	return o.Identity == p.Identity().ID() || o.Identity == "" && o.Principal == p.String()
}

func robotPrincipal(name string) *authn.Principal {
	return &authn.Principal{Kind: authn.KindRobot, Name: name}
}

// listedRobot is a robot of a list, before it is shown.
type listedRobot struct {
	name     string
	stored   *state.Item[state.Robot]
	declared *DeclaredRobot
}

// id orders the list: what the configuration supersedes stands behind what it
// declares.
func (r listedRobot) id() string {
	if r.declared == nil {
		return r.name + afterDeclared
	}
	return r.name
}

// afterDeclared is put behind the name of what is stored, for the order of
// lists.
const afterDeclared = "\x00"

func (m *Manager) showListed(r listedRobot) *Robot {
	if r.declared != nil {
		return m.showDeclared(r.declared)
	}
	return m.showRobot(r.stored.Value, r.stored.Revision)
}

// visibleRobots returns the robots that a caller may know of.
func (m *Manager) visibleRobots(who *Caller, q RobotQuery) iter.Seq[listedRobot] {
	admin := m.admin(who)
	managed := map[string]bool{} // by project
	visible := func(name, description string) bool {
		project := (&state.Robot{Name: name}).Project()
		if q.Project != "" && project != q.Project {
			return false
		}
		if q.Text != "" && !strings.Contains(name, q.Text) && !strings.Contains(description, q.Text) {
			return false
		}
		if admin || isRobot(who, name) {
			return true
		}
		if project == "" {
			return false
		}
		may, known := managed[project]
		if !known {
			may = m.managesRobot(who, name)
			managed[project] = may
		}
		return may
	}
	return func(yield func(listedRobot) bool) {
		for i := range m.declared.Robots {
			d := &m.declared.Robots[i]
			if visible(d.Name, "") && !yield(listedRobot{name: d.Name, declared: d}) {
				return
			}
		}
		for item := range m.state.Robots.All() {
			if visible(item.ID, item.Value.Description) && !yield(listedRobot{name: item.ID, stored: item}) {
				return
			}
		}
	}
}

// Numbers of robots have 48 bits, so that every JSON reader keeps them whole;
// those of declared ones begin with a one and follow from the name.
const numberBits = 47

func declaredNumber(name string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return int64(h.Sum64()>>(64-numberBits)) | 1<<numberBits
}

// robotRoutes are about robots.
func (a *API) robotRoutes() []route {
	m := a.manager
	x := collection[Robot]{
		path: "/robots", variable: "name", group: "robots", read: ScopeRobotsRead, write: ScopeRobotsWrite,
	}
	itself := x // whose routes check the scope themselves
	itself.read = ""
	secret := collection[RobotWithSecret]{
		path: "/robots", variable: "name", group: "robots", write: ScopeRobotsWrite,
		name: func(r *RobotWithSecret) string { return r.Name },
	}
	made := func(r *RobotWithSecret, created bool, err error) (*answer, error) {
		if err != nil {
			return nil, err
		}
		said := &answer{value: r, created: created}
		if created {
			said.location = secret.location(r)
		}
		return said, nil
	}
	return []route{
		x.search("listRobots", "The robots that you may change, and yourself if you are one.", []queryParameter{
			{"project", "Only the robots of this project.", schema{"type": "string", "maxLength": 128}},
			{"q", "Only those with this text in name or description.", schema{"type": "string", "maxLength": 128}},
		}, func(c *call, p PageQuery) (*Page[*Robot], error) {
			q := c.request.URL.Query()
			return m.Robots(c.who, RobotQuery{PageQuery: p, Project: q.Get("project"), Text: q.Get("q")})
		}, CodeInvalid),
		creating(secret, "createRobot", "Makes a robot. The secret that is made for it is shown this once.",
			m.CreateRobot, CodeForbidden, CodeExists, CodeDeclared, CodeConflict, CodeBusy),
		itself.get("getRobot", "A robot. Robots may see themselves.", m.Robot, CodeScope, CodeNotFound),
		{
			method: http.MethodPut, path: "/robots/{name}", id: "putRobot", group: "robots", scope: ScopeRobotsWrite,
			summary: "Makes a robot, or replaces all that is said of it. Without a secret it keeps the ones that it has.",
			body:    of[RobotInput](), status: http.StatusOK, created: true, result: of[RobotWithSecret](), versioned: true,
			fails: []Code{CodeForbidden, CodeDeclared, CodeConflict, CodeBusy},
			serve: func(c *call) (*answer, error) {
				return made(m.PutRobot(c.request.Context(), c.who, c.path["name"], input[RobotInput](c), c.match))
			},
		},
		{
			method: http.MethodPatch, path: "/robots/{name}", id: "changeRobot", group: "robots", scope: ScopeRobotsWrite,
			summary: "Changes what is given and leaves the rest; null takes away.",
			body:    of[RobotInput](), patch: true, status: http.StatusOK, result: of[RobotWithSecret](), versioned: true,
			fails: []Code{CodeForbidden, CodeNotFound, CodeDeclared, CodeConflict, CodeBusy},
			serve: func(c *call) (*answer, error) {
				current, err := m.Robot(c.who, c.path["name"])
				if err != nil {
					return nil, err
				}
				next, err := patched(c, RobotInput{RobotSettings: current.RobotSettings})
				if err != nil {
					return nil, err
				}
				match := c.match
				if match.Revision == 0 {
					match = Match{Revision: current.revision}
				}
				r, _, err := m.PutRobot(c.request.Context(), c.who, c.path["name"], next, match)
				return made(r, false, err)
			},
		},
		x.remove("deleteRobot", "Deletes a robot. Registry tokens that it has end at once.", m.DeleteRobot, CodeNotFound, CodeDeclared, CodeConflict),
		{
			method: http.MethodPost, path: "/robots/{name}/rotate", id: "rotateRobot", group: "robots", once: true,
			summary: "Gives a robot a new secret; the old ones stay good for a while. Robots may do it for themselves.",
			body:    of[Rotation](), bodyOptional: true, status: http.StatusOK, result: of[RobotWithSecret](), versioned: true,
			fails: []Code{CodeScope, CodeForbidden, CodeNotFound, CodeDeclared, CodeConflict, CodeBusy},
			serve: func(c *call) (*answer, error) {
				r, err := m.RotateRobot(c.request.Context(), c.who, c.path["name"], input[Rotation](c), c.match)
				return made(r, false, err)
			},
		},
		{
			method: http.MethodDelete, path: "/robots/{name}/secrets/{id}", id: "endRobotSecret", group: "robots",
			summary: "Ends one of a robot's secrets at once.", status: http.StatusNoContent, versioned: true,
			fails: []Code{CodeScope, CodeForbidden, CodeNotFound, CodeDeclared, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.EndRobotSecret(c.request.Context(), c.who, c.path["name"], c.path["id"], c.match)
			},
		},
	}
}
