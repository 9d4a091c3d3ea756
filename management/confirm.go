package management

import (
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// Confirm says that the person at the browser has just confirmed what is done
// now, in a way that no script on a page can.
func (c *Caller) Confirm() { c.confirmed = true }

// mayCreate refuses to create a credential with what a browser sends by
// itself: a script on the gateway's host could do it, and the credential would
// outlast everything that ends the script.
func mayCreate(who *Caller) error {
	if !who.browser || who.confirmed {
		return nil
	}
	return fail(CodeUnconfirmed, "a browser's session cannot create credentials here: use the pages, which ask the person to confirm it")
}

// CheckToken returns why [Manager.CreateToken] would refuse a token, as far as
// that can be told before it is confirmed.
func (m *Manager) CheckToken(who *Caller, in NewToken) error {
	if err := needs(who, ScopeTokensWrite); err != nil {
		return err
	}
	_, err := m.checkToken(who, in)
	return err
}

// CheckRobot returns why [Manager.CreateRobot] would refuse a robot, as far as
// that can be told before it is confirmed.
func (m *Manager) CheckRobot(who *Caller, in NewRobot) error {
	if err := authn.CheckRobotName(in.Name); err != nil {
		return invalid("name", "%v", err)
	}
	if !m.managesRobot(who, in.Name) {
		return fail(CodeForbidden, "only who manages all of the project may change its robots, and only administrators those without a project")
	}
	if _, exists := m.state.Robots.Get(in.Name); exists || m.declaredRobot(in.Name) != nil {
		return fail(CodeExists, "there is a robot %q", in.Name)
	}
	_, err := m.checkRobot(who, in.Name, in.RobotInput)
	return err
}
