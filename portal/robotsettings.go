package portal

import (
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// dayFormat is how forms have a date.
const dayFormat = "2006-01-02"

// robotSettings is the form with what there is to say of a robot.
func (x *exchange) robotSettings(r *management.Robot) *form {
	expires := ""
	if r.Expires != nil {
		expires = r.Expires.UTC().Format(dayFormat)
	}
	return &form{Action: x.path("robots/settings"), Submit: txtSave, Fields: []field{
		{Kind: "hidden", Name: "name", Value: r.Name},
		{Name: "description", Label: txtDescription, Value: x.sent("description", r.Description)},
		{Name: "permissions", Label: txtRobotMay, Help: txtPermissionsHelp, Kind: "area", Value: x.sent("permissions", permissionsText(r.Permissions))},
		{Name: "expires", Label: txtExpires, Help: txtExpiresHelp, Kind: "date", Value: x.sent("expires", expires)},
		{Name: "from", Label: txtFrom, Help: txtFromHelp, Value: x.sent("from", strings.Join(r.From, ", "))},
	}}
}

// changeRobot changes what a robot may do, until when and from where. It can
// be given no more than the person holds.
func (x *exchange) changeRobot() error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	name := x.form("name", "")
	r, err := m.Robot(who, name)
	if err != nil {
		return err
	}
	next := r.RobotSettings
	next.Description, next.Permissions, next.From = x.form("description", ""), x.formPermissions("permissions"), x.formList("from")
	expires, ok := x.formTime("expires")
	if !ok {
		return x.showRobot(name, txtBadDate)
	}
	if r.Expires == nil || x.form("expires", "") != r.Expires.UTC().Format(dayFormat) { // the same day is the same second
		next.Expires = expires
	}
	_, _, err = m.PutRobot(x.r.Context(), who, name, management.RobotInput{RobotSettings: next}, management.Match{Exists: true})
	if text := correctable(err); err != nil && text != "" {
		return x.showRobot(name, text)
	}
	if err != nil {
		return err
	}
	return x.goTo("robots/one?done=saved&name=" + escape(name))
}
