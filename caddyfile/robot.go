package caddyfile

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// RobotBlock is what a robot block says: how the robot proves itself, and what
// it is granted.
type RobotBlock struct {
	authn.RobotConfig

	// Actions are granted where the robot stands; pull if none are written.
	Actions []string

	// Repositories are the patterns they are granted on. Inside a project
	// there are none: the project says it.
	Repositories []string
}

// Robot reads a robot:
//
//	robot <name> [<action...>] {
//		secret_hash  <hash...>
//		allow        <action...>
//		repositories <pattern...>
//		expires      <date or time>
//		from         <network...>
//		disabled
//	}
func Robot(d *caddyfile.Dispenser) (*RobotBlock, error) {
	if !d.NextArg() {
		return nil, d.ArgErr()
	}
	r := &RobotBlock{RobotConfig: authn.RobotConfig{Name: d.Val()}}
	if err := authn.CheckRobotName(r.Name); err != nil {
		return nil, d.WrapErr(err)
	}
	r.Actions = d.RemainingArgs()
	if err := checked(d, "robot", []Check{checkAction}, r.Actions...); err != nil {
		return nil, err
	}
	if err := r.options().Read(d, "robot"); err != nil {
		return nil, err
	}
	if len(r.SecretHashes) == 0 {
		return nil, d.Errf("robot %s: secret_hash is missing: make one with \"caddy registry-auth new-secret\"", r.Name)
	}
	if len(r.Actions) == 0 {
		r.Actions = []string{"pull"}
	}
	return r, nil
}

func (r *RobotBlock) options() Options {
	c := &r.RobotConfig
	return Options{
		"secret_hash":  List(&c.SecretHashes, checkSecretHash),
		"allow":        List(&r.Actions, checkAction),
		"repositories": List(&r.Repositories),
		"expires":      Text(&c.Expires, checkExpiry),
		"from":         List(&c.From, checkSource),
		"disabled":     Flag(&c.Disabled),
	}
}

// checkSecretHash refuses what cannot be a hash, while file and line are
// known. A placeholder is resolved when the configuration is provisioned.
func checkSecretHash(d *caddyfile.Dispenser, name, hash string) error {
	if err := AbsoluteFile(d, name, hash); err != nil || strings.Contains(hash, "{") {
		return err
	}
	if _, err := authn.ParseHash(hash); err != nil {
		return d.Errf("%s: %v", name, err)
	}
	return nil
}

var (
	checkAction = Wrapped(func(action string) error { _, err := authz.ParseAction(action); return err })
	checkExpiry = Wrapped(func(expires string) error { _, err := authn.ParseExpiry(expires); return err })
	checkSource = Wrapped(func(source string) error { _, err := authn.ParseSource(source); return err })
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

// Method is implemented by the Caddy modules of authenticators that hold one
// which is not the module itself.
type Method interface {
	// Member returns the authenticator and its facts, after Provision.
	Member() authn.Member
}

// Members returns the authenticators of a realm, which are the guest modules
// that were loaded for it. Two that would get in each other's way are an error.
func Members(modules []any) ([]authn.Member, error) {
	list := make([]authn.Member, 0, len(modules))
	for _, m := range modules {
		module, isModule := m.(caddy.Module)
		method, isMethod := m.(Method)
		a, isAuthenticator := m.(authn.Authenticator)
		switch {
		case isMethod:
			list = append(list, method.Member())
		case isModule && isAuthenticator:
			list = append(list, authn.NewMember(module.CaddyModule().ID.Name(), a))
		default:
			return nil, fmt.Errorf("%T is not an authenticator", m)
		}
	}
	return list, authn.CheckMembers(list)
}
