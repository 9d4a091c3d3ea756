package caddyfile

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// projectRobot declares a robot inside a project, which grants it its actions
// there.
func (p *realmParser) projectRobot(d *caddyfile.Dispenser) (subject string, actions []string, err error) {
	robot, actions, err := Robot(d)
	if err != nil {
		return "", nil, err
	}
	if p.robotsAt < 0 {
		p.robotsAt = len(p.config.AuthenticatorsRaw)
	}
	for _, other := range p.robots {
		if other.Name == robot.Name {
			return "", nil, d.Errf("robot %s is already declared: to let it into another project write `allow <action>... robot:%s` there", robot.Name, robot.Name)
		}
	}
	p.robots = append(p.robots, robot)
	return "robot:" + robot.Name, actions, nil
}

// robot declares a robot that stands for itself, with the repositories that
// it may use:
//
//	robot <name> [<action>...] {
//		repositories <pattern>...
//		…
//	}
//
// Without repositories it is granted nothing here; projects and `admin` may.
func (p *realmParser) robot() error {
	at, d := source(p.d), p.d
	subject, actions, err := p.projectRobot(d)
	_ = authz.Project{Source: at}
	_, _ = subject, actions
	return err
}
