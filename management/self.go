package management

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/export"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// Health is whether changes can be made.
type Health struct {
	Status string    `json:"status" doc:"ok, or degraded while nothing can be changed: reading, logins and pulls go on." enum:"ok,degraded"`
	Store  string    `json:"store" doc:"How the store is: away: it cannot be reached; stale: for so long that stored credentials are refused; damaged: the file is damaged, replaced or gone; full or read-only: the last change was refused." enum:"ok,away,stale,damaged,full,read-only"`
	Since  time.Time `json:"since" doc:"Since when."`
	// Superseded is told to everybody and so names nothing.
	Superseded int `json:"superseded,omitempty" doc:"How many stored robots, projects and keys are not in force, since the configuration declares something of their names. The lists mark them."`
}

// Health returns whether changes can be made.
func (m *Manager) Health() Health {
	h := m.state.Health()
	out := Health{Status: "ok", Store: string(h.Condition), Since: h.Since.UTC().Truncate(time.Second), Superseded: len(m.everySuperseded())}
	if h.Condition != state.StoreGood {
		out.Status = "degraded"
	}
	return out
}

// Self is who a caller is.
type Self struct {
	Kind          string     `json:"kind" doc:"user, robot, workload, api_key, bootstrap or local."`
	Name          string     `json:"name,omitempty" doc:"How policies and audit events call it." max:"512"`
	Issuer        string     `json:"issuer,omitempty" doc:"The identity provider, of a user."`
	Subject       string     `json:"subject,omitempty" doc:"The identity at the provider."`
	Groups        []string   `json:"groups,omitempty"`
	Roles         []string   `json:"roles,omitempty"`
	Authenticator string     `json:"authenticator,omitempty" doc:"What vouches for it."`
	Credential    string     `json:"credential,omitempty" doc:"The kind of credential that was shown."`
	CredentialID  string     `json:"credential_id,omitempty" doc:"The credential's public id."`
	Expires       *time.Time `json:"expires,omitempty" doc:"When the credential ends."`

	Scopes      []string      `json:"scopes" doc:"What the credential is good for in this API."`
	Admin       bool          `json:"admin" doc:"Whether it may do everything that the scopes are about."`
	Limits      *[]Permission `json:"limits,omitempty" doc:"What the credential is good for in the registry at most, if it is limited."`
	Projects    []SelfRights  `json:"projects" doc:"What it may do for certain on all of a project, for each project on which it may do something." max:"1000"`
	Permissions []Permission  `json:"permissions,omitempty" doc:"What was given to a robot itself."`
}

// SelfRights is what a caller may do on all of a project.
type SelfRights struct {
	Project string   `json:"project" max:"512"`
	Actions []string `json:"actions" enum:"pull,push,delete,overwrite,list,manage"`
}

// maxSelfProjects is how many projects are listed.
const maxSelfProjects = 1000

// Self returns who the caller is and what it may do.
func (m *Manager) Self(who *Caller) Self {
	s := Self{
		Kind: who.actor.Kind, Name: who.actor.Name, CredentialID: who.actor.ID,
		Scopes: append([]string{}, who.scopes...), Admin: m.admin(who), Projects: []SelfRights{},
	}
	if !who.expires.IsZero() {
		s.Expires = &who.expires
	}
	p := who.Principal
	if p == nil {
		s.Credential = "api_key"
		return s
	}
	s.Issuer, s.Subject, s.Groups, s.Roles = p.Issuer, p.Subject, p.Groups, p.Roles
	s.Authenticator, s.Credential = p.Authenticator, p.Credential
	if p.Limits != nil {
		list := append([]Permission{}, permissionsOf(p.Limits)...)
		s.Limits = &list
	}
	if p.Kind == authn.KindRobot {
		if item, ok := m.state.Robots.Get(p.Name); ok && m.takenBy(p.Name) == "" {
			s.Permissions = permissionsOf(item.Value.Permissions)
		}
	}
	for name, patterns := range m.projects() {
		if len(s.Projects) == maxSelfProjects {
			break
		}
		if have := m.holds(who, patterns); have != 0 {
			s.Projects = append(s.Projects, SelfRights{Project: name, Actions: have.Names()})
		}
	}
	return s
}

// holds returns what a caller may do for certain on all of some patterns.
func (m *Manager) holds(who *Caller, patterns []string) authz.Action {
	have := authz.AllActions
	for _, p := range patterns {
		have &^= m.holdings(who).Missing(authn.Limit{Type: authz.TypeRepository, Name: p, Actions: []string{"*"}})
	}
	return have
}

// installationRoutes say what the other side of the gateway needs to know.
func (a *API) installationRoutes() []route {
	if a.options.Installation == nil {
		return nil
	}
	return []route{{
		method: http.MethodGet, path: "/export/{format}", id: "exportInstallation", group: "export", scope: ScopeSigningRead,
		summary: "What a registry that verifies the gateway's tokens needs: distribution, zot, compose, env, kubernetes, certificates or jwks. For administrators.",
		status:  http.StatusOK, medias: export.MediaTypes(), fails: []Code{CodeForbidden, CodeNotFound, CodeConflict},
		serve: func(c *call) (*answer, error) { return a.installation(c) },
	}}
}

// installation renders a format. One with a login is none here: it would have
// to be asked for with somebody's secret.
func (a *API) installation(c *call) (*answer, error) {
	if err := a.manager.needsAdmin(c.who, ScopeSigningRead); err != nil {
		return nil, err
	}
	format, err := export.Find(c.path["format"])
	if err != nil {
		return nil, fail(CodeNotFound, "%v", err)
	}
	if format.Login {
		return nil, fail(CodeConflict, "%s has a secret in it: caddy registry-auth export-config writes it where the secret is", format.Name)
	}
	in, err := a.options.Installation(c.request)
	if err != nil {
		return nil, err
	}
	body, media, err := export.Render(format.Name, in)
	switch {
	case errors.Is(err, export.ErrNotPossible), errors.Is(err, export.ErrIncomplete):
		return nil, fail(CodeConflict, "%v", err)
	case err != nil:
		return nil, err
	}
	return &answer{media: media, stream: func(w http.ResponseWriter) error {
		_, err := w.Write(body)
		return err
	}}, nil
}
