package management

import (
	"context"
	"net/http"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// ReadOnly is whether everything that writes is refused.
type ReadOnly struct {
	ReadOnlyInput
	Since *time.Time `json:"since,omitempty" doc:"Since when it is as it is."`
	By    string     `json:"by,omitempty" doc:"Who made it so." max:"600"`

	versioned
}

// ReadOnlyInput is what it is to be.
type ReadOnlyInput struct {
	On     bool   `json:"read_only" doc:"Refuses everything that writes; logins and pulls go on. What the configuration makes read-only stays so."`
	Reason string `json:"reason,omitempty" doc:"Why, for people to read." max:"500"`
}

// projectSwitch is the id of a project's setting.
func projectSwitch(project string) string { return state.SettingReadOnly + "/" + project }

// ReadOnly returns the switch of the whole registry, or of a project that the
// caller manages.
func (m *Manager) ReadOnly(who *Caller, project string) (*ReadOnly, error) {
	id, err := m.readOnlySwitch(who, project, ScopeSettingsRead)
	if err != nil {
		return nil, err
	}
	item, ok := m.state.Settings.Get(id)
	if !ok {
		return &ReadOnly{}, nil
	}
	return showReadOnly(item.Value, item.Revision), nil
}

func showReadOnly(v *state.Setting, revision uint64) *ReadOnly {
	return &ReadOnly{ReadOnlyInput: ReadOnlyInput{On: v.On, Reason: v.Text}, Since: timeOf(v.Changed), By: v.By, versioned: versioned{revision}}
}

// SetReadOnly sets the switch.
func (m *Manager) SetReadOnly(ctx context.Context, who *Caller, project string, in ReadOnlyInput, match Match) (made *ReadOnly, err error) {
	id, err := m.readOnlySwitch(who, project, ScopeSettingsWrite)
	if err != nil {
		return nil, err
	}
	err = m.again(ctx, func() error {
		before, exists := m.state.Settings.Get(id)
		if !exists {
			before = nil
		}
		revision, condition := expect(before)
		was := ReadOnlyInput{}
		if exists {
			was = ReadOnlyInput{before.Value.On, before.Value.Text}
		}
		same, object := exists && was == in, state.Object{Kind: "setting", ID: id, Name: project}
		if err := match.check(revision, m.didBefore(ctx, who, object, match, revision, same)); err != nil {
			return err
		}
		if same {
			made = showReadOnly(before.Value, revision)
			return unchanged(ctx, m, m.state.Settings, before)
		}
		var tx state.Tx
		if project != "" {
			guard := m.state.Guard(state.GuardProject(project))
			if _, err := m.project(who, project); err != nil {
				return err
			}
			guard.Put(&tx)
		}
		next := &state.Setting{On: in.On, Text: in.Reason, Changed: m.second(), By: who.actor.String()}
		made = showReadOnly(next, 0)
		state.Put(&tx, m.state.Settings, id, next, condition)
		tx.Note(who.Actor(), "read_only.set", object, was, in)
		return m.commit(ctx, who, &tx, made)
	})
	return made, err
}

// readOnlySwitch returns the id of a switch that the caller may turn.
func (m *Manager) readOnlySwitch(who *Caller, project string, scope Scope) (string, error) {
	if project == "" {
		return state.SettingReadOnly, m.needsAdmin(who, scope)
	}
	if err := needs(who, scope); err != nil {
		return "", err
	}
	_, err := m.project(who, project)
	return projectSwitch(project), err
}

// readOnlyRoutes are about the read-only switches.
func (a *API) readOnlyRoutes() []route {
	m := a.manager
	get := func(c *call) (*answer, error) {
		r, err := m.ReadOnly(c.who, c.path["name"])
		if err != nil {
			return nil, err
		}
		return &answer{value: r}, nil
	}
	put := func(c *call) (*answer, error) {
		r, err := m.SetReadOnly(c.request.Context(), c.who, c.path["name"], input[ReadOnlyInput](c), c.match)
		if err != nil {
			return nil, err
		}
		return &answer{value: r}, nil
	}
	return []route{
		{
			method: http.MethodGet, path: "/read-only", id: "getReadOnly", group: "settings", scope: ScopeSettingsRead,
			summary: "Whether the whole registry is read-only.", status: http.StatusOK, result: of[ReadOnly](), versioned: true,
			fails: []Code{CodeForbidden}, serve: get,
		},
		{
			method: http.MethodPut, path: "/read-only", id: "setReadOnly", group: "settings", scope: ScopeSettingsWrite,
			summary: "Makes the whole registry read-only, or ends it. For administrators.",
			body:    of[ReadOnlyInput](), status: http.StatusOK, result: of[ReadOnly](), versioned: true, fails: []Code{CodeForbidden, CodeStale, CodeConflict}, serve: put,
		},
		{
			method: http.MethodGet, path: "/projects/{name}/read-only", id: "getProjectReadOnly", group: "projects", scope: ScopeSettingsRead,
			summary: "Whether a project, also a declared one, is switched to read-only.", status: http.StatusOK, result: of[ReadOnly](), versioned: true,
			fails: []Code{CodeNotFound}, serve: get,
		},
		{
			method: http.MethodPut, path: "/projects/{name}/read-only", id: "setProjectReadOnly", group: "projects", scope: ScopeSettingsWrite,
			summary: "Makes a project that you manage read-only, or ends it.",
			body:    of[ReadOnlyInput](), status: http.StatusOK, result: of[ReadOnly](), versioned: true, fails: []Code{CodeNotFound, CodeConflict}, serve: put,
		},
	}
}
