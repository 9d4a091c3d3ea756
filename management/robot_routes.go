package management

import (
	"net/http"
	"net/url"
)

// robotRoutes are about robots.
func (a *API) robotRoutes() []route {
	m := a.manager
	location := func(name string) string { return "/robots/" + url.PathEscape(name) }
	made := func(r *RobotWithSecret, created bool, err error) (*answer, error) {
		if err != nil {
			return nil, err
		}
		said := &answer{value: r, revision: r.revision, created: created}
		if created {
			said.location = location(r.Name)
		}
		return said, nil
	}
	return []route{
		{
			method: http.MethodGet, path: "/robots", id: "listRobots", group: "robots", scope: ScopeRobotsRead,
			summary: "The robots that you may change, and yourself if you are one.",
			query: append([]queryParameter{
				{"project", "Only the robots of this project.", schema{"type": "string", "maxLength": 128}},
				{"q", "Only those with this text in name or description.", schema{"type": "string", "maxLength": 128}},
			}, pageParameters...),
			status: http.StatusOK, result: of[List[*Robot]](), fails: []Code{CodeInvalid},
			serve: func(c *call) (*answer, error) {
				p, err := c.page()
				if err != nil {
					return nil, err
				}
				q := c.request.URL.Query()
				return list(m.Robots(c.who, RobotQuery{PageQuery: p, Project: q.Get("project"), Text: q.Get("q")}))
			},
		},
		{
			method: http.MethodPost, path: "/robots", id: "createRobot", group: "robots", scope: ScopeRobotsWrite, once: true,
			summary: "Makes a robot. The secret that is made for it is shown this once.",
			body:    of[NewRobot](), status: http.StatusCreated, result: of[RobotWithSecret](), versioned: true,
			fails: []Code{CodeForbidden, CodeExists, CodeDeclared, CodeConflict, CodeBusy},
			serve: func(c *call) (*answer, error) {
				r, err := m.CreateRobot(c.request.Context(), c.who, input[NewRobot](c))
				return made(r, true, err)
			},
			location: func(v any) string {
				if r, ok := v.(*RobotWithSecret); ok {
					return location(r.Name)
				}
				return ""
			},
		},
		{
			method: http.MethodGet, path: "/robots/{name}", id: "getRobot", group: "robots",
			summary: "A robot. Robots may see themselves.", status: http.StatusOK, result: of[Robot](), versioned: true,
			fails: []Code{CodeScope, CodeNotFound},
			serve: func(c *call) (*answer, error) {
				r, err := m.Robot(c.who, c.path["name"])
				if err != nil {
					return nil, err
				}
				return &answer{value: r, revision: r.revision}, nil
			},
		},
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
				if err := c.match.check(current.revision); err != nil {
					return nil, err
				}
				r, _, err := m.PutRobot(c.request.Context(), c.who, c.path["name"], next, Match{Revision: current.revision})
				return made(r, false, err)
			},
		},
		{
			method: http.MethodDelete, path: "/robots/{name}", id: "deleteRobot", group: "robots", scope: ScopeRobotsWrite,
			summary: "Deletes a robot. Registry tokens that it has end at once.", status: http.StatusNoContent, versioned: true,
			fails: []Code{CodeNotFound, CodeDeclared, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.DeleteRobot(c.request.Context(), c.who, c.path["name"], c.match)
			},
		},
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
