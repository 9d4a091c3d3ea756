package portal

import (
	"strconv"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

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
