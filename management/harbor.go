package management

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
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

// harborInput reads what is said of a robot. Before is the robot that there
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
