package stage

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
)

// groups of the people, as the identity provider knows them.
var groups = map[string][]string{
	"alice":   {"team-maintainers", "staff"},
	"bob":     {"staff"},
	"carol":   {"other-maintainers", "staff"},
	"mallory": {"staff"},
	"admin":   {"registry-admins", "staff"},
}

// People lists those who can log in.
var People = []string{"alice", "bob", "carol", "mallory", "admin"}

// Claims returns the claims of a good ID token of a person.
func (s *Stage) Claims(person string) (jose.Object, error) {
	g, ok := groups[person]
	if !ok {
		return nil, fmt.Errorf("%w: the identity provider issues no token for %q", ErrNobody, person)
	}
	return s.IdP.Claims(person, Client, g...), nil
}

// Job is the subject of the CI jobs that have rights.
const Job = "repo:corp/app:ref:refs/heads/main"

// JobToken returns the token of a CI job.
func (s *Stage) JobToken(subject string) (string, error) {
	claims := s.CI.Claims(subject, Service).With("groups", nil).With("preferred_username", nil)
	return s.CI.Sign(claims)
}

// IDToken returns a fresh ID token of a person: also the person's password.
func (s *Stage) IDToken(person string) (string, error) {
	claims, err := s.Claims(person)
	if err != nil {
		return "", err
	}
	return s.IdP.Sign(claims)
}

// Password returns what a person (see [People]) or a robot (by one of its
// login names) shows as password.
func (s *Stage) Password(login string) (string, error) {
	if r, ok := s.Robots[RobotName(login)]; ok {
		return r.Secret, nil
	}
	return s.IDToken(login)
}

// RobotName strips a login name of the prefixes that robots log in with.
func RobotName(login string) string {
	for _, prefix := range []string{"robot$", "robot-"} {
		if name, ok := strings.CutPrefix(login, prefix); ok {
			return name
		}
	}
	return login
}

// Basic returns the value of a Basic Authorization header.
func Basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}
