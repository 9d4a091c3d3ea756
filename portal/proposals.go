package portal

// mended is a form that has to be corrected before it can be confirmed.
type mended struct {
	problem string
	show    func(problem string) error
}

func (e *mended) Error() string { return e.problem }

// checked returns what is wrong with a form, as an error that shows it again
// with what was typed in if a person can put it right.
func checked(err error, show func(problem string) error) error {
	if err == nil {
		return nil
	}
	if text := correctable(err); text != "" {
		return &mended{text, show}
	}
	return err
}

// proposeToken says which access token a form would create.
func (x *exchange) proposeToken() (*proposal, error) {
	m, who, err := x.manager()
	if err != nil {
		return nil, err
	}
	in, err := x.newToken()
	if err != nil {
		return nil, err
	}
	if err := checked(m.CheckToken(who, in), x.showTokens); err != nil {
		return nil, err
	}
	rights := cell{Text: txtTokenAll}
	if in.Permissions != nil {
		rights = cell{Text: permissionsText(*in.Permissions), Code: true}
	}
	return &proposal{
		question: txtTokenAsk, lead: txtConfirmNote, button: txtTokenCreate, back: "tokens",
		facts: []fact{{txtItsName, cell{Text: in.Name}}, {txtExpires, cell{Time: *in.Expires}}, {txtTokenGoodFor, rights}},
	}, nil
}

// proposeRobot says which robot a form would create.
func (x *exchange) proposeRobot() (*proposal, error) {
	m, who, err := x.manager()
	if err != nil {
		return nil, err
	}
	in, problem := x.newRobotInput()
	if problem != "" {
		return nil, &mended{problem, x.robotForm}
	}
	if err := checked(m.CheckRobot(who, in), x.robotForm); err != nil {
		return nil, err
	}
	return &proposal{
		question: txtRobotAsk, lead: txtConfirmNote, button: txtRobotCreate, back: "robots",
		facts: []fact{
			{txtItsName, cell{Text: in.Name}}, {txtRobotMay, cell{Text: permissionsText(in.Permissions), Code: true}},
			{txtExpires, x.expiry(in.Expires)}, {txtFrom, cell{Text: orAnywhere(in.From)}},
		},
	}, nil
}

// proposeRotation says which robot gets a new secret.
func (x *exchange) proposeRotation() (*proposal, error) {
	m, who, err := x.manager()
	if err != nil {
		return nil, err
	}
	r, err := m.Robot(who, x.form("name", ""))
	if err != nil {
		return nil, err
	}
	overlap, err := x.overlap()
	if err != nil {
		return nil, err
	}
	lead := txtConfirmNote
	if overlap == 0 {
		lead = sprintf(txtRotateAsk, r.Name)
	}
	return &proposal{
		question: txtRotateQuestion, lead: lead, button: txtRotateDo, back: "robots/one?name=" + escape(r.Name),
		facts: []fact{{txtItsName, cell{Text: r.Name}}, {txtRobotMay, cell{Text: permissionsText(r.Permissions), Code: true}}},
	}, nil
}
