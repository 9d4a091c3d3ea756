package management

import (
	"slices"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
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

	revision uint64
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
		LastUsed: m.lastUsed(m.state.Robots.Kind(), r.Name), Source: sourceStore, revision: revision,
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
