package caddyfile

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// projectRobot declares a robot inside a project, which grants it its actions
// there.
func (p *realmParser) projectRobot(d *caddyfile.Dispenser) (subject string, actions []string, err error) {
	at := d.Line()
	robot, err := p.declare(d)
	if err != nil {
		return "", nil, err
	}
	if len(robot.Repositories) > 0 {
		return "", nil, d.Errf("robot %s of line %d: repositories: inside a project it is the project that says which", robot.Name, at)
	}
	return "robot:" + robot.Name, robot.Actions, nil
}

// robot declares a robot outside of any project. Without repositories it is
// granted nothing here; projects and `admin` may name it.
func (p *realmParser) robot(d *caddyfile.Dispenser) error {
	at := source(d)
	robot, err := p.declare(d)
	if err != nil || len(robot.Repositories) == 0 {
		return err
	}
	actions := authz.TokenActions(robot.Actions...).Names()
	p.config.Policy.Projects = append(p.config.Policy.Projects, authz.Project{
		Name:     "robot " + robot.Name,
		Patterns: robot.Repositories,
		Grants:   []authz.Grant{{Actions: actions, Subjects: []string{"robot:" + robot.Name}, Source: at}},
		Source:   at,
	})
	return nil
}

func (p *realmParser) declare(d *caddyfile.Dispenser) (*RobotBlock, error) {
	robot, err := Robot(d)
	if err != nil {
		return nil, err
	}
	if p.declared[robot.Name] {
		return nil, d.Errf("robot %s is already declared: to let it into another project write `allow <action>... robot:%s` there", robot.Name, robot.Name)
	}
	p.declared[robot.Name] = true
	if p.robotsAt < 0 {
		p.robotsAt = len(p.config.AuthenticatorsRaw)
	}
	p.robots = append(p.robots, robot.RobotConfig)
	return robot, nil
}
