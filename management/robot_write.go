package management

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// RobotInput is the request body for creating or replacing a robot.
type RobotInput struct {
	RobotSettings
	SecretInput

	harbor json.RawMessage // see state.Robot
}

// NewRobot is a robot that is to be made.
type NewRobot struct {
	Name string `json:"name" doc:"Lower-case letters and digits with single . _ - between them; a robot of a project has the project and + before it." min:"1" max:"128"`
	RobotInput
}

// RobotWithSecret is a robot with the secret that was made for it, which is
// shown this once.
type RobotWithSecret struct {
	Robot
	Secret string `json:"secret,omitempty" doc:"The secret that was made, shown this once; absent if the caller gave one." max:"128"`
}

// CreateRobot makes a robot.
func (m *Manager) CreateRobot(ctx context.Context, who *Caller, in NewRobot) (*RobotWithSecret, error) {
	made, _, err := m.PutRobot(ctx, who, in.Name, in.RobotInput, Match{Absent: true})
	if e := AsError(err); err != nil && e.Code == CodeStale {
		return nil, fail(CodeExists, "there is a robot %q", in.Name)
	}
	return made, err
}

// PutRobot makes a robot, or replaces all that is said of one that there is.
// Without a secret, a new robot gets one and others keep theirs; with one, it
// is from now on the only one. It reports whether the robot is new. What is as
// it should be already is not written.
func (m *Manager) PutRobot(ctx context.Context, who *Caller, name string, in RobotInput, match Match) (*RobotWithSecret, bool, error) {
	if err := needs(who, ScopeRobotsWrite); err != nil {
		return nil, false, err
	}
	if err := authn.CheckRobotName(name); err != nil {
		return nil, false, invalid("name", "%v", err)
	}
	if !m.managesRobot(who, name) {
		return nil, false, fail(CodeForbidden, "only who manages all of the project may change its robots, and only administrators those without a project")
	}
	if d := m.declaredRobot(name); d != nil {
		return nil, false, fail(CodeDeclared, "robot %s is declared in the configuration: change it there", name)
	}
	if by := m.takenBy(name); by != "" {
		return nil, false, nameTaken(name, by)
	}
	settings, err := m.checkRobot(who, name, in)
	if e := AsError(err); err != nil && e.Code == CodeForbidden {
		if kept, ok := m.keepsPermissions(settings, in.SecretInput, &match); ok {
			settings, err = kept, nil
		}
	}
	if err != nil {
		return nil, false, err
	}
	given, err := m.newSecret(ctx, name, in.SecretInput)
	if err != nil {
		return nil, false, err
	}
	var made *RobotWithSecret
	var created bool
	err = m.again(ctx, func() error {
		made, created, err = m.putRobot(ctx, who, name, settings, given, match)
		return err
	})
	return made, created, err
}

// SetRobotDisabled keeps a robot out, or lets it in again, and leaves the rest
// as it is.
func (m *Manager) SetRobotDisabled(ctx context.Context, who *Caller, name string, disabled bool) error {
	r, err := m.Robot(who, name)
	if err != nil {
		return err
	}
	settings := r.RobotSettings
	settings.Disabled = disabled
	_, _, err = m.PutRobot(ctx, who, name, RobotInput{RobotSettings: settings}, Match{Revision: r.revision})
	return err
}

// keepsPermissions reports whether a robot that may do more than the caller is
// only described otherwise or disabled: nobody gets anything by that. It must
// then be as it is now when it is written.
func (m *Manager) keepsPermissions(next *state.Robot, secret SecretInput, match *Match) (*state.Robot, bool) {
	item, ok := m.state.Robots.Get(next.Name)
	if !ok || secret != (SecretInput{}) || next.Harbor != nil || item.Value.Disabled && !next.Disabled ||
		!item.Value.Expires.Equal(next.Expires) || !slices.Equal(item.Value.From, next.From) ||
		!slices.EqualFunc(item.Value.Permissions, next.Permissions, func(a, b authn.Limit) bool { return equalRecord(&a, &b) }) {
		return nil, false
	}
	if match.Revision == 0 {
		match.Revision = item.Revision
	}
	return next, true
}

// putRobot writes the robot as things stand now.
func (m *Manager) putRobot(ctx context.Context, who *Caller, name string, settings *state.Robot, given *givenSecret, match Match) (*RobotWithSecret, bool, error) {
	before, exists := m.state.Robots.Get(name)
	if !exists {
		before = nil
	}
	revision, condition := expect(before)
	now := m.second()
	next := *settings
	if !exists || given != nil {
		if err := mayCreate(who); err != nil {
			return nil, false, err
		}
	}
	var shown string
	if exists {
		old := before.Value
		next.Number, next.Created, next.CreatedBy = old.Number, old.Created, old.CreatedBy
		next.Secrets, next.Updated = old.Secrets, old.Updated
		if next.Harbor == nil {
			next.Harbor = old.Harbor
		}
		same, err := m.sameSecret(ctx, old.Secrets, given)
		if err != nil {
			return nil, false, err
		}
		if !same {
			next.Secrets = []state.RobotSecret{{Hash: given.stored, Created: now}}
		}
		same = equalRecord(old, &next)
		if err := match.check(revision, m.didBefore(ctx, who, robotObject(name), match, revision, same)); err != nil {
			return nil, false, err
		}
		if same {
			return &RobotWithSecret{Robot: *m.showRobot(old, revision)}, false, unchanged(ctx, m, m.state.Robots, before)
		}
	} else {
		if err := match.check(0, false); err != nil {
			return nil, false, err
		}
		if given == nil {
			secret, stored := authn.NewSecret(authn.SecretRobot)
			given, shown = &givenSecret{stored: stored}, secret
		}
		next.Number, next.Created, next.CreatedBy = m.newNumber(), now, who.actor.String()
		next.Secrets = []state.RobotSecret{{Hash: given.stored, Created: now}}
	}
	next.Updated = now
	action := "robot.create"
	if exists {
		action = "robot.update"
	}
	made, err := m.writeRobot(ctx, who, action, before, &next, condition, shown)
	return made, !exists, err
}

// checkRobot checks the request body for a robot, and that the caller may give what
// it gives.
func (m *Manager) checkRobot(who *Caller, name string, in RobotInput) (*state.Robot, error) {
	var wrong problems
	r := &state.Robot{Name: name, Description: in.Description, Disabled: in.Disabled, From: in.From, Harbor: in.harbor}
	if in.Expires != nil {
		r.Expires = in.Expires.UTC().Truncate(time.Second)
	}
	m.checkLifetime(&wrong, "expires", r.Expires, m.config.RobotMaxLifetime)
	m.checkFrom(&wrong, "from", in.From)
	for _, prefix := range m.prefixes {
		if len(prefix) > 0 && len(name) > len(prefix) && name[:len(prefix)] == prefix {
			wrong.add("name", "begins with %s, which robots put before their names to log in", prefix)
		}
	}
	r.Permissions = limitsOf("permissions", in.Permissions, &wrong)
	if err := wrong.err(); err != nil {
		return nil, err
	}
	if err := m.withinItsProject(r); err != nil {
		return nil, err
	}
	m.mayHandOn(who, handedRobot(r), &wrong)
	return r, wrong.forbidden("a robot may do no more than who makes it")
}

// withinItsProject checks that the permissions of a robot are all within the
// project that it belongs to.
func (m *Manager) withinItsProject(r *state.Robot) error {
	project := r.Project()
	if project == "" {
		return nil
	}
	var wrong problems
	patterns := m.patternsOf(project)
	for i, l := range r.Permissions {
		if !withinProject(l, patterns) {
			wrong.add(at("permissions", i), "%s is not all within the project %s", l.Name, project)
		}
	}
	return wrong.err()
}

// joinProject adds to a transaction that a robot comes to a project, which may
// have been changed or deleted since the robot was checked.
func (m *Manager) joinProject(tx *state.Tx, who *Caller, r *state.Robot) error {
	project := r.Project()
	if project == "" {
		return nil
	}
	guard := m.state.Guard(state.GuardProject(project))
	if !m.managesRobot(who, r.Name) {
		return fail(CodeForbidden, "only who manages all of the project may change its robots")
	}
	if err := m.withinItsProject(r); err != nil {
		return err
	}
	guard.Put(tx)
	return nil
}

// writeRobot writes a robot that was checked.
func (m *Manager) writeRobot(ctx context.Context, who *Caller, action string, before *state.Item[state.Robot], next *state.Robot, condition store.Precondition, secret string) (*RobotWithSecret, error) {
	if _, _, err := next.Compile(); err != nil {
		return nil, &Error{Code: CodeInvalid, Detail: err.Error()}
	}
	var tx state.Tx
	if before == nil {
		if err := m.joinProject(&tx, who, next); err != nil {
			return nil, err
		}
	}
	state.Put(&tx, m.state.Robots, next.Name, next, condition)
	made := &RobotWithSecret{Robot: *m.showRobot(next, 0), Secret: secret}
	var old any
	if before != nil {
		old = m.showRobot(before.Value, 0)
	}
	tx.Note(who.Actor(), action, robotObject(next.Name), old, &made.Robot)
	if err := m.commit(ctx, who, &tx, made); err != nil {
		return nil, err
	}
	return made, nil
}

func robotObject(name string) state.Object { return state.Object{Kind: "robot", ID: name, Name: name} }

// DeleteRobot deletes a robot. Registry tokens that it has end at once.
func (m *Manager) DeleteRobot(ctx context.Context, who *Caller, name string, match Match) error {
	if err := needs(who, ScopeRobotsWrite); err != nil {
		return err
	}
	if !m.managesRobot(who, name) {
		return noRobot(name)
	}
	return m.again(ctx, func() error {
		// One that the configuration supersedes can be deleted as well.
		item, ok := m.state.Robots.Get(name)
		switch {
		case !ok && m.declaredRobot(name) != nil:
			return fail(CodeDeclared, "robot %s is declared in the configuration: remove it there", name)
		case !ok:
			return noRobot(name)
		}
		if err := match.check(item.Revision, false); err != nil {
			return err
		}
		var tx state.Tx
		state.Delete(&tx, m.state.Robots, name, state.Unchanged(item))
		tx.Note(who.Actor(), "robot.delete", robotObject(name), m.showRobot(item.Value, 0), nil)
		if m.takenBy(name) == "" {
			m.forgetName(&tx, who, robotPrincipal(name), nil)
		}
		return m.commit(ctx, who, &tx, nil)
	})
}

// equalRecord compares two records as they are stored.
func equalRecord[T any](a, b *T) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && slices.Equal(x, y)
}
