package portal

import (
	"strconv"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// robots lists the robots that the person may change.
func (x *exchange) robots() error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	q := x.query("q")
	page, err := m.Robots(who, management.RobotQuery{PageQuery: x.cursor(), Text: q})
	if err != nil {
		return err
	}
	t := &table{
		Caption: txtRobotsCaption, Columns: []string{txtRobot, txtRobotMay, txtLastUsed, txtExpires, txtState}, Empty: txtNoRobots,
		Search: &search{Action: x.path("robots"), Label: txtSearchRobots, Value: q}, Next: x.next(page.Next),
	}
	for _, r := range page.Items {
		name := cell{Text: r.Name, Href: x.path("robots/one?name=" + escape(r.Name)), Sub: r.Description}
		state := robotState(r)
		if r.SupersededBy != "" { // its page would be that of the other one
			name.Href = ""
			state.Buttons = []button{x.removal("robots/delete", r.Name)}
		}
		t.Rows = append(t.Rows, []cell{name, {Text: permissionsText(r.Permissions)}, used(r.LastUsed), x.expiry(r.Expires), state})
	}
	return x.show(view{Title: txtRobots, Lead: txtRobotsLead, Notice: x.notice(), Blocks: []block{
		{Links: []link{{Text: txtRobotNew, Href: x.path("robots/new"), Primary: true}}}, {Heading: txtRobotsAll, Table: t},
	}})
}

func robotState(r *management.Robot) cell {
	switch {
	case r.SupersededBy != "":
		return cell{Text: txtSuperseded, Badge: "bad", Sub: sprintf(txtSupersededBy, r.SupersededBy)}
	case r.Disabled:
		return cell{Text: txtDisabledState, Badge: "bad"}
	case r.Source != sourceStore:
		return cell{Text: txtDeclared, Badge: "plain", Sub: r.Source}
	}
	return cell{Text: txtEnabled, Badge: "good"}
}

// removal deletes what the configuration supersedes, from its row.
func (x *exchange) removal(action, name string) button {
	return button{Text: txtDelete, Action: x.path(action), Hidden: []field{{Name: "name", Value: name}}, Label: sprintf(txtRemoveLabel, name), Danger: true}
}

// sourceStore is the source of what can be changed here.
const sourceStore = "store"

// newRobot shows the form for a robot.
func (x *exchange) newRobot() error { return x.robotForm("") }

func (x *exchange) robotForm(problem string) error {
	return x.show(view{Title: txtRobotNew, Lead: txtRobotNewLead, Problem: problem, Blocks: []block{{Form: &form{
		Action: x.path("robots/new"), Submit: txtRobotCreate, Cancel: x.path("robots"), Fields: []field{
			{Name: "name", Label: txtItsName, Help: txtRobotNameHelp, Value: x.form("name", ""), Required: true},
			{Name: "description", Label: txtDescription, Value: x.form("description", "")},
			{Name: "permissions", Label: txtRobotMay, Help: txtPermissionsHelp, Kind: "area", Value: x.form("permissions", ""), Required: true},
			{Name: "expires", Label: txtExpires, Help: txtExpiresHelp, Kind: "date", Value: x.form("expires", "")},
			{Name: "from", Label: txtFrom, Help: txtFromHelp, Value: x.form("from", "")},
		},
	}}}})
}

// createRobot makes a robot and shows its secret, this once.
func (x *exchange) createRobot() error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	in, problem := x.newRobotInput()
	if problem != "" {
		return x.robotForm(problem)
	}
	made, err := m.CreateRobot(x.r.Context(), who, in)
	if text := correctable(err); err != nil && text != "" {
		return x.robotForm(text)
	}
	if err != nil {
		return err
	}
	return x.secretOnce(sprintf(txtRobotMade, made.Name), txtRobotMadeLead, made.Logins[0], made.Secret, "robots/one?name="+escape(made.Name))
}

// newRobotInput reads the form of a new robot, and says what is wrong with it.
func (x *exchange) newRobotInput() (in management.NewRobot, problem string) {
	expires, ok := x.formTime("expires")
	if !ok {
		return in, txtBadDate
	}
	return management.NewRobot{Name: x.form("name", ""), RobotInput: management.RobotInput{RobotSettings: management.RobotSettings{
		Description: x.form("description", ""), Permissions: x.formPermissions("permissions"), Expires: expires, From: x.formList("from"),
	}}}, ""
}

// robot shows one robot and what can be done with it.
func (x *exchange) robot() error { return x.showRobot(x.query("name"), "") }

func (x *exchange) showRobot(name, problem string) error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	r, err := m.Robot(who, name)
	if err != nil {
		return err
	}
	facts := []fact{
		{txtState, robotState(r)},
		{txtRobotLogins, cell{Text: strings.Join(r.Logins, ", "), Code: true}},
		{txtRobotMay, cell{Text: permissionsText(r.Permissions)}},
		{txtLastUsed, used(r.LastUsed)},
		{txtExpires, x.expiry(r.Expires)},
		{txtFrom, cell{Text: orAnywhere(r.From)}},
	}
	if r.Description != "" {
		facts = append([]fact{{txtDescription, cell{Text: r.Description}}}, facts...)
	}
	if r.CreatedBy != "" {
		facts = append(facts, fact{txtCreatedBy, cell{Text: r.CreatedBy}})
	}
	secrets := &table{Caption: txtSecretsCaption, Columns: []string{txtSecret, txtCreated, txtExpires}, Empty: txtNone}
	for _, s := range r.Secrets {
		row := []cell{{Text: s.ID, Code: true}, {Text: txtUnknown}, x.expiry(s.Until)}
		if s.Created != nil {
			row[1] = cell{Time: *s.Created}
		}
		secrets.Rows = append(secrets.Rows, row)
	}
	v := view{Title: sprintf(txtRobotTitle, r.Name), Notice: x.notice(), Problem: problem, Blocks: []block{{Facts: facts}, {Heading: txtSecrets, Table: secrets}}}
	if r.Source != sourceStore {
		v.Lead = sprintf(txtRobotDeclared, r.Source)
		return x.show(v)
	}
	hidden := field{Kind: "hidden", Name: "name", Value: r.Name}
	toggle := form{Action: x.path("robots/disable"), Submit: txtDisable, Danger: true, Fields: []field{hidden}}
	if r.Disabled {
		toggle = form{Action: x.path("robots/enable"), Submit: txtEnable, Fields: []field{hidden}}
	}
	v.Blocks = append(v.Blocks,
		block{Heading: txtSettings, Form: x.robotSettings(r)},
		block{Heading: txtRotate, Text: txtRotateNote, Form: &form{Action: x.path("robots/rotate"), Submit: txtRotateDo, Fields: []field{
			hidden, {Name: "overlap", Label: txtOverlap, Kind: "choice", Options: []option{{"0", txtAtOnce, false}, {"3600", txt1Hour, false}, {"86400", txt1Day, true}, {"604800", txt7Days, false}}},
		}}},
		block{Heading: toggle.Submit, Text: txtDisableNote, Form: &toggle},
		block{Heading: txtDelete, Text: txtRobotDeleteNote, Form: &form{Action: x.path("robots/delete"), Submit: txtDelete, Danger: true, Fields: []field{hidden}}},
	)
	return x.show(v)
}

func orAnywhere(list []string) string {
	if len(list) == 0 {
		return txtAnywhere
	}
	return strings.Join(list, ", ")
}

// rotateRobot gives a robot a new secret, beside which the old one stays good
// for a while.
func (x *exchange) rotateRobot() error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	name := x.form("name", "")
	overlap, err := x.overlap()
	if err != nil {
		return err
	}
	made, err := m.RotateRobot(x.r.Context(), who, name, management.Rotation{Overlap: &overlap}, management.Match{Exists: true})
	if err != nil {
		return err
	}
	return x.secretOnce(sprintf(txtRobotRotated, name), txtRobotMadeLead, made.Logins[0], made.Secret, "robots/one?name="+escape(name))
}

// overlap reads for how many seconds the secrets before are to stay good.
func (x *exchange) overlap() (int, error) {
	overlap, err := strconv.Atoi(x.form("overlap", "86400"))
	if err != nil || overlap < 0 {
		return 0, errForm
	}
	return overlap, nil
}

// disableRobot keeps a robot out.
func (x *exchange) disableRobot() error {
	name := x.form("name", "")
	if !x.confirmed() {
		return x.ask(sprintf(txtRobotDisableAsk, name), txtDisable, "robots/one?name="+escape(name))
	}
	return x.switchRobot(name, true)
}

// enableRobot lets a robot in again.
func (x *exchange) enableRobot() error { return x.switchRobot(x.form("name", ""), false) }

func (x *exchange) switchRobot(name string, disabled bool) error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	if err := m.SetRobotDisabled(x.r.Context(), who, name, disabled); err != nil {
		return err
	}
	return x.goTo("robots/one?done=saved&name=" + escape(name))
}

// deleteRobot removes a robot.
func (x *exchange) deleteRobot() error {
	name := x.form("name", "")
	if !x.confirmed() {
		return x.ask(sprintf(txtRobotDeleteAsk, name), txtDelete, "robots/one?name="+escape(name))
	}
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	if err := m.DeleteRobot(x.r.Context(), who, name, management.Match{}); err != nil {
		return err
	}
	return x.goTo("robots?done=deleted")
}

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
