package authn

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// DefaultRobotPrefixes are what robots put before their names to log in: the
// one that Harbor has, which can only be a robot's, and one that needs no
// quoting in a shell.
var DefaultRobotPrefixes = []string{robotPrefix, "robot-"}

// robotPrefix begins a name that can only be a robot's, whatever robots put
// before their names in a realm: no person is called so.
const robotPrefix = "robot$"

// maxRobotPrefix is how long what robots put before their names may be, in
// bytes.
const maxRobotPrefix = 64

// CheckRobotPrefixes returns an error unless all of a list can be put before
// the names of robots.
func CheckRobotPrefixes(list []string) error {
	for _, prefix := range list {
		switch {
		case prefix == "":
			return fmt.Errorf("robot_prefix is empty: robots log in by their plain names anyhow")
		case len(prefix) > maxRobotPrefix:
			return fmt.Errorf("robot_prefix %.64q: longer than %d bytes", prefix, maxRobotPrefix)
		case !utf8.ValidString(prefix) || strings.ContainsFunc(prefix, func(r rune) bool {
			return r == ':' || unicode.IsSpace(r) || !unicode.IsPrint(r)
		}):
			return fmt.Errorf("robot_prefix %.64q: has white space, control characters, or a colon", prefix)
		}
	}
	return nil
}

// robotLogins are what robots put before their names in a realm. The nil
// pointer stands for the [DefaultRobotPrefixes].
type robotLogins struct{ list []string }

func (l *robotLogins) prefixes() []string {
	if l == nil {
		return DefaultRobotPrefixes
	}
	return l.list
}

// isRobots reports whether a login name begins as those of robots do, in
// whatever case: a password that comes with it is shown to nobody else.
func (l *robotLogins) isRobots(login string) bool {
	_, found := l.cut(login)
	return found || l.onlyRobots(login)
}

// onlyRobots reports whether a login name can be nobody's but a robot's, in
// whatever case: it has a prefix which ends as no name of a person does.
func (l *robotLogins) onlyRobots(login string) bool {
	if hasPrefixFold(login, robotPrefix) {
		return true
	}
	for _, prefix := range l.prefixes() {
		if strings.HasSuffix(prefix, "$") && hasPrefixFold(login, prefix) {
			return true
		}
	}
	return false
}

// cut takes the prefix off a robot's login name, in whatever case.
func (l *robotLogins) cut(login string) (name string, found bool) {
	for _, prefix := range l.prefixes() {
		if hasPrefixFold(login, prefix) {
			return login[len(prefix):], true
		}
	}
	return login, false
}

// account folds the spellings under which one account can be tried, so that
// another spelling is not another count.
func (l *robotLogins) account(login string) string {
	name, _ := l.cut(strings.TrimSpace(login))
	return strings.ToLower(name)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
