package management

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// HarborPrefix is where Harbor has its API, HarborVersion where it says which.
const (
	HarborPrefix  = "/api/v2.0"
	HarborVersion = "/api/version"
)

// harborRobot is a robot in Harbor's JSON. What Harbor ignores is ignored,
// unknown members too: clients send back all that they were told.
type harborRobot struct {
	ID          int64              `json:"id,omitempty"`
	Name        string             `json:"name"`
	Description string             `json:"description"`
	Secret      string             `json:"secret,omitempty"`
	Level       string             `json:"level"`
	Duration    int64              `json:"duration"` // days; -1: for ever
	Editable    bool               `json:"editable"`
	Disable     bool               `json:"disable"`
	ExpiresAt   int64              `json:"expires_at"` // -1: never
	Permissions []harborPermission `json:"permissions"`
	Created     *time.Time         `json:"creation_time,omitempty"`
	Updated     *time.Time         `json:"update_time,omitempty"`
}

// The levels of Harbor's robots.
const (
	levelSystem  = "system"
	levelProject = "project"
)

const day = 24 * time.Hour

// maxDuration is how many days a robot may be good for: a hundred years.
const maxDuration = 36500

// robotPrefix is what Harbor's calls put before the names of robots.
func (m *Manager) robotPrefix() string {
	if len(m.prefixes) == 0 {
		return ""
	}
	return m.prefixes[0]
}

// showHarbor makes Harbor's JSON of a robot.
func (m *Manager) showHarbor(r *Robot) harborRobot {
	out := harborRobot{
		ID: r.Number, Name: m.robotPrefix() + r.Name, Description: r.Description, Level: levelSystem, Duration: -1,
		Editable: r.Source == sourceStore && r.SupersededBy == "", Disable: r.Disabled, ExpiresAt: -1, Created: r.Created, Updated: r.Updated,
	}
	if r.Project != "" {
		out.Level = levelProject
	}
	if r.Expires != nil {
		out.ExpiresAt, out.Duration = r.Expires.Unix(), 1
		if r.Created != nil {
			out.Duration = max(1, int64((r.Expires.Sub(*r.Created)+day-time.Second)/day))
		}
	}
	out.Permissions = m.harborPermissions(r)
	return out
}

// harborInput reads the request body for a robot. Before is the robot that there
// is, nil for a new one.
func (m *Manager) harborInput(in *harborRobot, before *Robot) (string, RobotInput, error) {
	var out RobotInput
	name := strings.TrimPrefix(in.Name, m.robotPrefix())
	switch in.Level {
	case levelSystem:
	case levelProject:
		if len(in.Permissions) != 1 || in.Permissions[0].Kind != levelProject || in.Permissions[0].Namespace == "*" {
			return "", out, invalid("permissions", "a robot of a project has one permission, that for its project")
		}
		if project := in.Permissions[0].Namespace; !strings.HasPrefix(name, project+"+") {
			name = project + "+" + name
		}
	default:
		return "", out, invalid("level", "want system or project")
	}
	if strings.Contains(name, "+") != (in.Level == levelProject) {
		return "", out, invalid("name", "only robots of a project have a + in their names")
	}
	if before != nil && name != before.Name {
		return "", out, invalid("name", "neither name, level nor project of a robot can be changed")
	}
	created := m.second()
	if before != nil && before.Created != nil {
		created = *before.Created
	}
	switch {
	case before != nil && in.Duration == m.showHarbor(before).Duration:
		out.Expires = before.Expires
	case in.Duration == -1:
	case in.Duration < 1 || in.Duration > maxDuration:
		return "", out, invalid("duration", "want a number of days, or -1 for ever")
	default:
		out.Expires = timeOf(created.Add(time.Duration(in.Duration) * day))
	}
	var err error
	if out.Permissions, err = m.harborLimits(in.Permissions, in.Level == levelProject); err != nil {
		return "", out, err
	}
	if out.harbor, err = json.Marshal(in.Permissions); err != nil {
		return "", out, err
	}
	out.Description, out.Disabled = in.Description, in.Disable
	if len(out.Description) > maxHarborText {
		return "", out, invalid("description", "has more than %d characters", maxHarborText)
	}
	if before != nil {
		out.From = before.From
	}
	return name, out, nil
}

const maxHarborText = 1000

// harborByID returns the robot with a number of Harbor's calls.
func (m *Manager) harborByID(who *Caller, text string) (*Robot, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fail(CodeNotFound, "there is no robot %.20q", text)
	}
	if item, ok := m.robotByNumber(id); ok {
		r, err := m.Robot(who, item.ID)
		if err == nil && r.Source != sourceStore { // it is superseded
			r = m.showRobot(item.Value, item.Revision)
		}
		return r, err
	}
	for i := range m.declared.Robots {
		if d := &m.declared.Robots[i]; declaredNumber(d.Name) == id {
			return m.Robot(who, d.Name)
		}
	}
	return nil, fail(CodeNotFound, "there is no robot %d", id)
}

// harborError is the body of Harbor's errors.
type harborError struct {
	Errors []harborErrorEntry `json:"errors"`
}

type harborErrorEntry struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

var harborCodes = map[int]string{
	http.StatusBadRequest: "BAD_REQUEST", http.StatusUnauthorized: "UNAUTHORIZED", http.StatusForbidden: "FORBIDDEN",
	http.StatusNotFound: "NOT_FOUND", http.StatusMethodNotAllowed: "METHOD_NOT_ALLOWED", http.StatusConflict: "CONFLICT",
	http.StatusPreconditionFailed: "PRECONDITION", http.StatusTooManyRequests: "TOO_MANY_REQUEST",
}

// harborProblem answers with an error as Harbor does.
func (a *API) harborProblem(w http.ResponseWriter, r *http.Request, err error) {
	e := AsError(err)
	status := e.Code.Status()
	switch e.Code {
	case CodeInvalid, CodeUnsupportedMedia, CodeTooLarge:
		status = http.StatusBadRequest
	case CodeDeclared:
		status = http.StatusForbidden
	}
	code, ok := harborCodes[status]
	switch {
	case e.Code == CodeForbidden && len(e.Fields) > 0:
		code = "DENIED"
	case !ok:
		code = "UNKNOWN"
	}
	text := e.Detail
	if len(e.Fields) > 0 {
		text = strings.TrimPrefix(text+": "+fieldText(e.Fields), ": ")
	}
	a.failureHeaders(w, r, e, err)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	send(w, r, status, harborError{[]harborErrorEntry{{code, text}}})
}

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
