package management

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// harborRoutes are the calls of Harbor's API that are about robots, and those
// that its tools make around them.
func (a *API) harborRoutes() []route {
	const robots, robot = HarborPrefix + "/robots", HarborPrefix + "/robots/{id}"
	return []route{
		{method: http.MethodGet, path: HarborVersion, open: true, harbor: func(w http.ResponseWriter, c *call) error {
			send(w, c.request, http.StatusOK, map[string]string{"version": "v2.0"})
			return nil
		}},
		{method: http.MethodGet, path: HarborPrefix + "/systeminfo", open: true, harbor: func(w http.ResponseWriter, c *call) error {
			send(w, c.request, http.StatusOK, map[string]any{"auth_mode": "oidc_auth", "registry_url": c.request.Host})
			return nil
		}},
		{method: http.MethodGet, path: HarborPrefix + "/configurations", scope: ScopeRobotsRead, harbor: a.harborConfiguration},
		{method: http.MethodGet, path: HarborPrefix + "/permissions", scope: ScopeRobotsRead, harbor: a.harborGrantable},
		{method: http.MethodGet, path: robots, scope: ScopeRobotsRead, harbor: a.harborList},
		{method: http.MethodPost, path: robots, scope: ScopeRobotsWrite, harbor: a.harborCreate},
		{method: http.MethodGet, path: robot, harbor: a.harborGet},
		{method: http.MethodPut, path: robot, scope: ScopeRobotsWrite, harbor: a.harborUpdate},
		{method: http.MethodDelete, path: robot, scope: ScopeRobotsWrite, harbor: a.harborDelete},
		{method: http.MethodPatch, path: robot, harbor: a.harborRefresh},
	}
}

// harborBody reads a body; what Harbor does not know is not looked at.
func harborBody(w http.ResponseWriter, c *call, into any) error {
	raw, err := io.ReadAll(http.MaxBytesReader(w, c.request.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return fail(CodeTooLarge, "want at most %d bytes", maxBody)
	case err != nil:
		return fail(CodeMalformed, "the body cannot be read")
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fail(CodeMalformed, "the body is not the JSON that was expected")
	}
	return nil
}

// harborConfiguration is what Harbor's tools want to know of robots.
func (a *API) harborConfiguration(w http.ResponseWriter, c *call) error {
	value := func(v any) map[string]any { return map[string]any{"value": v, "editable": false} }
	send(w, c.request, http.StatusOK, map[string]any{
		"auth_mode":            value("oidc_auth"),
		"robot_name_prefix":    value(a.manager.robotPrefix()),
		"robot_token_duration": value(int(time.Duration(a.manager.config.RobotMaxLifetime) / day)),
	})
	return nil
}

// harborGrantable lists what may be given to robots and means something.
func (a *API) harborGrantable(w http.ResponseWriter, c *call) error {
	list := []harborAccess{}
	for access := range harborActions {
		list = append(list, access)
	}
	slices.SortFunc(list, func(x, y harborAccess) int {
		return strings.Compare(x.Resource+":"+x.Action, y.Resource+":"+y.Action)
	})
	send(w, c.request, http.StatusOK, map[string]any{
		levelSystem: []harborAccess{{Resource: authz.CatalogName, Action: "read"}}, levelProject: list,
	})
	return nil
}

// harborList lists robots by Harbor's query language, of which it knows
// Level=, ProjectID=, name= and name=~.
func (a *API) harborList(w http.ResponseWriter, c *call) error {
	q := c.request.URL.Query()
	number, size, err := harborPage(q.Get("page"), q.Get("page_size"))
	if err != nil {
		return err
	}
	keep, err := a.manager.harborFilter(q.Get("q"))
	if err != nil {
		return err
	}
	var found []listedRobot
	for r := range a.manager.visibleRobots(c.who, RobotQuery{}) {
		if keep(r.name) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(x, y listedRobot) int { return strings.Compare(x.name, y.name) })
	total := len(found)
	from := min((number-1)*size, total)
	to := min(from+size, total)
	out := make([]harborRobot, 0, to-from)
	for _, r := range found[from:to] {
		out = append(out, a.manager.showHarbor(a.manager.showListed(r)))
	}
	h := w.Header()
	h.Set("X-Total-Count", strconv.Itoa(total))
	link := func(n int, rel string) {
		q.Set("page", strconv.Itoa(n))
		q.Set("page_size", strconv.Itoa(size))
		h.Add("Link", "<"+c.request.URL.Path+"?"+q.Encode()+`>; rel="`+rel+`"`)
	}
	if number > 1 {
		link(number-1, "prev")
	}
	if to < total {
		link(number+1, "next")
	}
	send(w, c.request, http.StatusOK, out)
	return nil
}

// harborPage reads the page and its size, which Harbor counts from one and
// bounds at a hundred.
func harborPage(page, size string) (number, most int, err error) {
	number, most = 1, 10
	if page != "" {
		if number, err = strconv.Atoi(page); err != nil || number < 1 || number > 1<<20 {
			return 0, 0, invalid("page", "want a number from 1 on")
		}
	}
	if size != "" {
		if most, err = strconv.Atoi(size); err != nil || most < 1 || most > 100 {
			return 0, 0, invalid("page_size", "want 1 to 100")
		}
	}
	return number, most, nil
}

// harborFilter reads the query language. Without a level it is the system's.
func (m *Manager) harborFilter(q string) (func(name string) bool, error) {
	level, project, text, exact := levelSystem, int64(0), "", ""
	for term := range strings.SplitSeq(q, ",") {
		key, value, ok := strings.Cut(term, "=")
		switch {
		case term == "":
		case !ok:
			return nil, invalid("q", "want key=value, …")
		case strings.EqualFold(key, "level"):
			level = value
		case strings.EqualFold(key, "projectid"):
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return nil, invalid("q", "ProjectID: want a number")
			}
			project = n
		case key == "name" && strings.HasPrefix(value, "~"):
			text = value[1:]
		case key == "name":
			exact = strings.TrimPrefix(value, m.robotPrefix())
		default:
			return nil, invalid("q", "%.40s cannot be asked for: Level, ProjectID and name can", key)
		}
	}
	if level != levelSystem && level != levelProject {
		return nil, invalid("q", "Level: want system or project")
	}
	return func(name string) bool {
		of, _, isProject := strings.Cut(name, "+")
		return isProject == (level == levelProject) && (!isProject || project == 0 || declaredNumber(of) == project) &&
			strings.Contains(name, text) && (exact == "" || exact == name || isProject && strings.HasSuffix(name, "+"+exact))
	}, nil
}
