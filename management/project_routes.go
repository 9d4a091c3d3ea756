package management

import (
	"net/http"
	"net/url"
)

// projectRoutes are about projects and their members.
func (a *API) projectRoutes() []route {
	m := a.manager
	location := func(name string) string { return "/projects/" + url.PathEscape(name) }
	made := func(p *Project, created bool, err error) (*answer, error) {
		if err != nil {
			return nil, err
		}
		return &answer{value: p, revision: p.revision, created: created, location: location(p.Name)}, nil
	}
	return []route{
		{
			method: http.MethodGet, path: "/projects", id: "listProjects", group: "projects", scope: ScopeProjectsRead,
			summary: "The projects that you manage.", query: pageParameters, status: http.StatusOK, result: of[List[*Project]](),
			serve: func(c *call) (*answer, error) {
				p, err := c.page()
				if err != nil {
					return nil, err
				}
				return list(m.Projects(c.who, p))
			},
		},
		{
			method: http.MethodPost, path: "/projects", id: "createProject", group: "projects", scope: ScopeProjectsWrite, once: true,
			summary: "Makes a project. For administrators.", body: of[NewProject](), status: http.StatusCreated, result: of[Project](), versioned: true,
			fails: []Code{CodeForbidden, CodeExists, CodeDeclared, CodeConflict},
			serve: func(c *call) (*answer, error) {
				p, err := m.CreateProject(c.request.Context(), c.who, input[NewProject](c))
				return made(p, true, err)
			},
			location: func(v any) string {
				if p, ok := v.(*Project); ok {
					return location(p.Name)
				}
				return ""
			},
		},
		{
			method: http.MethodGet, path: "/projects/{name}", id: "getProject", group: "projects", scope: ScopeProjectsRead,
			summary: "A project.", status: http.StatusOK, result: of[Project](), versioned: true, fails: []Code{CodeNotFound},
			serve: func(c *call) (*answer, error) {
				p, err := m.Project(c.who, c.path["name"])
				return made(p, false, err)
			},
		},
		{
			method: http.MethodPut, path: "/projects/{name}", id: "putProject", group: "projects", scope: ScopeProjectsWrite,
			summary: "Makes a project, or replaces all that is said of it. For administrators.",
			body:    of[ProjectInput](), status: http.StatusOK, created: true, result: of[Project](), versioned: true,
			fails: []Code{CodeForbidden, CodeDeclared, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return made(m.PutProject(c.request.Context(), c.who, c.path["name"], input[ProjectInput](c), c.match))
			},
		},
		{
			method: http.MethodDelete, path: "/projects/{name}", id: "deleteProject", group: "projects", scope: ScopeProjectsWrite,
			summary: "Deletes a project that has no robots. For administrators.", status: http.StatusNoContent, versioned: true,
			fails: []Code{CodeForbidden, CodeNotFound, CodeDeclared, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.DeleteProject(c.request.Context(), c.who, c.path["name"], c.match)
			},
		},
		{
			method: http.MethodPut, path: "/projects/{name}/members/{subject}", id: "putMember", group: "projects", scope: ScopeProjectsWrite,
			summary: "Gives somebody rights in a project that you manage, in place of those that it has there.",
			body:    of[MemberInput](), status: http.StatusOK, created: true, result: of[Project](), versioned: true,
			fails: []Code{CodeNotFound, CodeDeclared, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return made(m.PutMember(c.request.Context(), c.who, c.path["name"], c.path["subject"], input[MemberInput](c), c.match))
			},
		},
		{
			method: http.MethodDelete, path: "/projects/{name}/members/{subject}", id: "deleteMember", group: "projects", scope: ScopeProjectsWrite,
			summary: "Takes the rights of somebody in a project away.", status: http.StatusNoContent, versioned: true,
			fails: []Code{CodeNotFound, CodeDeclared, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.DeleteMember(c.request.Context(), c.who, c.path["name"], c.path["subject"], c.match)
			},
		},
	}
}
