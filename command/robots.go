package command

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// robotList are the robots that a realm declares. What a robot may do is the
// policy's to say, but one that is not let in can do nothing.
type robotList []authn.RobotConfig

func findRobots(config *caddyfile.Config) (robotList, error) {
	var found robotList
	for _, raw := range config.AuthenticatorsRaw {
		var module struct {
			Type   string    `json:"type"`
			Robots robotList `json:"robots"`
		}
		if err := json.Unmarshal(raw, &module); err != nil {
			return nil, fmt.Errorf("authenticators: %w", err)
		}
		if module.Type == "robots" {
			found = append(found, module.Robots...)
		}
	}
	return found, nil
}

// shutOut is why a robot is refused before the policy is asked, and what would
// change that.
type shutOut struct{ reason, would string }

// shutOut returns nil if the robot is let in. Its secret is taken to be right.
func (l robotList) shutOut(p *authn.Principal, q *authz.Query) (*shutOut, error) {
	robot := l.find(p)
	if robot == nil {
		return nil, nil
	}
	if robot.Disabled {
		return &shutOut{p.String() + " is disabled", "the robot without `disabled`"}, nil
	}
	if robot.Expires != "" {
		expires, err := authn.ParseExpiry(robot.Expires)
		if err != nil {
			return nil, fmt.Errorf("robot %s: %w", robot.Name, err)
		}
		now := q.Time
		if now.IsZero() {
			now = time.Now()
		}
		if !now.Before(expires) {
			return &shutOut{p.String() + " expired on " + robot.Expires, "a robot that expires later"}, nil
		}
	}
	if len(robot.From) == 0 {
		return nil, nil
	}
	for _, text := range robot.From {
		prefix, err := authn.ParseSource(text)
		if err != nil {
			return nil, fmt.Errorf("robot %s: %w", robot.Name, err)
		}
		if prefix.Contains(q.Remote.Unmap().WithZone("")) {
			return nil, nil
		}
	}
	from := strings.Join(robot.From, " or ")
	return &shutOut{
		fmt.Sprintf("%s is accepted from %s only, not from %s", p, from, address(q.Remote)),
		"a client address in " + from,
	}, nil
}

// restrictions are what the sign-in of a robot depends on, if the subject is
// one: "robot:ci".
func (l robotList) restrictions(subject string) []string {
	name, ok := strings.CutPrefix(subject, "robot:")
	robot := l.find(&authn.Principal{Kind: authn.KindRobot, Name: name})
	if !ok || robot == nil {
		return nil
	}
	var list []string
	if robot.Disabled {
		list = append(list, "disabled")
	}
	if robot.Expires != "" {
		list = append(list, "expires "+robot.Expires)
	}
	if len(robot.From) > 0 {
		list = append(list, "from "+strings.Join(robot.From, " "))
	}
	return list
}

// robotNote says that a robot is declared nowhere.
func (r *loadedRealm) robotNote(p *authn.Principal) string {
	l := r.robots
	if p.Kind != authn.KindRobot || l.find(p) != nil || r.stored.Permissions(p) != nil {
		return ""
	}
	names := make([]string, 0, len(l))
	for _, robot := range l {
		names = append(names, robot.Name)
	}
	note := "the configuration declares no robot " + p.Name
	if near := authz.Nearest(p.Name, names); near != "" {
		note += fmt.Sprintf(": did you mean %q?", near)
	}
	return note
}

func (l robotList) find(p *authn.Principal) *authn.RobotConfig {
	i := slices.IndexFunc(l, func(r authn.RobotConfig) bool { return r.Name == p.Name })
	if i < 0 || p.Kind != authn.KindRobot {
		return nil
	}
	return &l[i]
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return "an unknown address"
	}
	return a.String()
}
