package authn

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckName returns an error unless a principal of this kind may be called so,
// whoever vouches for it. A [Chain] holds every authenticator to it. What names
// users cannot have keeps them apart from robots and workloads where names
// stand without their kind: in a registry token's subject, in the headers that
// the server behind gets, in a log line.
func CheckName(kind Kind, name string) error {
	switch kind {
	case KindUser:
		if name == "" {
			return errors.New("the name is empty")
		}
		return checkUserName(name)
	case KindRobot:
		return CheckRobotName(name)
	case KindWorkload, KindAnonymous:
	}
	return checkAnyName(name)
}

// checkUserName refuses names that would not survive a header, a log line, a
// Basic credential or a list, and those that look like a robot's. The empty
// name passes, for prefixes.
func checkUserName(name string) error {
	switch {
	case len(name) > maxUsername:
		return fmt.Errorf("longer than %d bytes", maxUsername)
	case strings.ContainsAny(name, `:"\,`) || strings.ContainsFunc(name, func(r rune) bool {
		return r == unicode.ReplacementChar || unicode.IsSpace(r) || !unicode.IsPrint(r)
	}):
		return errors.New(`has white space, control characters, or one of : " \ ,`)
	case strings.HasPrefix(strings.ToLower(name), robotPrefix):
		return errors.New("belongs to robots")
	}
	return nil
}

// checkAnyName refuses names that no log line and no policy should have to
// carry.
func checkAnyName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > maxUsername:
		return fmt.Errorf("the name is longer than %d bytes", maxUsername)
	case !utf8.ValidString(name):
		return errors.New("the name is not UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("the name has control characters")
	}
	return nil
}
