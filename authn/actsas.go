package authn

import "context"

// actingWorkload is a [Workload] in a realm whose robots it may act as.
type actingWorkload struct {
	*Workload

	robots *Robots
}

// ActingAs returns the authenticator for a realm: a workload that acts as a
// robot is refused where the robot would be. The authenticator itself may
// serve several realms, with robots of their own.
func (a *Workload) ActingAs(robots *Robots) Authenticator { return actingWorkload{a, robots} }

// Authenticate implements [Authenticator].
func (a actingWorkload) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	p, err := a.Workload.Authenticate(ctx, c)
	if err == nil {
		err = a.admit(p, c)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Recheck implements [Rechecker].
func (a actingWorkload) Recheck(p *Principal, c *Credential) error {
	if err := a.Workload.Recheck(p, c); err != nil {
		return err
	}
	return a.admit(p, c)
}

// admit asks whether the robot may that a workload acts as.
func (a actingWorkload) admit(p *Principal, c *Credential) error {
	if p.Kind != KindRobot {
		return nil
	}
	return a.robots.AdmitRobot(p.Name, c.Remote)
}
