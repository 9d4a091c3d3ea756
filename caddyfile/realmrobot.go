package caddyfile

import (
	"slices"

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
func (p *realmParser) robot() error {
	at := source(p.d)
	robot, err := p.declare(p.d)
	if err != nil || len(robot.Repositories) == 0 {
		return err
	}
	p.loose = append(p.loose, authz.Project{
		Name:     "robot " + robot.Name,
		Patterns: robot.Repositories,
		Grants:   []authz.Grant{{Actions: robot.Actions, Subjects: []string{"robot:" + robot.Name}, Source: at}},
		Source:   at,
	})
	return nil
}

// placeLoose gives the robots outside of projects their grants: in the
// project of the same patterns if there is one, else in one of their own.
func (p *realmParser) placeLoose() {
	projects := p.config.Policy.Projects
	for _, loose := range p.loose {
		same := func(other authz.Project) bool { return slices.Equal(other.Patterns, loose.Patterns) }
		if i := slices.IndexFunc(projects, same); i >= 0 {
			projects[i].Grants = append(projects[i].Grants, loose.Grants...)
			continue
		}
		projects = append(projects, loose)
	}
	p.config.Policy.Projects = projects
}

func (p *realmParser) declare(d *caddyfile.Dispenser) (*RobotBlock, error) {
	robot, err := Robot(d)
	if err != nil {
		return nil, err
	}
	for _, other := range p.robots {
		if other.Name == robot.Name {
			return nil, d.Errf("robot %s is already declared: to let it into another project write `allow <action>... robot:%s` there", robot.Name, robot.Name)
		}
	}
	if p.robotsAt < 0 {
		p.robotsAt = len(p.config.AuthenticatorsRaw)
	}
	p.robots = append(p.robots, robot.RobotConfig)
	return robot, nil
}
