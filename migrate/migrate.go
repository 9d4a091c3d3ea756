// Package migrate reads what other systems know of accounts and their rights,
// and makes documents of it for import. What it cannot carry over it says by
// name, and where it is in doubt it gives less.
package migrate

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// Result is what became of another system's file.
type Result struct {
	Document *management.Document
	// Lost is what could not be carried over, by name and with the reason.
	Lost []string
}

func (r *Result) lose(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for _, known := range r.Lost {
		if known == text {
			return
		}
	}
	r.Lost = append(r.Lost, text)
}

func newResult() *Result {
	return &Result{Document: &management.Document{Version: 1}}
}

// HarborRobots reads the answer of Harbor's GET /api/v2.0/robots, or several of
// them after another. Prefix is what Harbor puts before the names of robots.
func HarborRobots(text []byte, prefix string) (*Result, error) {
	r := newResult()
	var err error
	r.Document.Robots, r.Lost, err = management.HarborDocument(text, prefix)
	if err == nil && len(r.Document.Robots) > 0 {
		r.lose("secrets: Harbor does not tell them: rotate each robot to get a new one")
	}
	return r, err
}

// Htpasswd makes robots of the users of an htpasswd file, which go on logging
// in with the same name and password. The file says nothing of rights: each
// gets those that are given.
func Htpasswd(text []byte, rights []management.Permission) (*Result, error) {
	r := newResult()
	lines := bufio.NewScanner(bytes.NewReader(text))
	seen := map[string]bool{}
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, hash, ok := strings.Cut(line, ":")
		if !ok || name == "" {
			return nil, fmt.Errorf("line %d: want name:hash", n) // the line may be a secret
		}
		if seen[name] {
			r.lose("user %s: line %d has it again, the first one counts", name, n)
			continue
		}
		seen[name] = true
		if robot := r.robot(name, hash); robot != nil {
			robot.Permissions = rights
			r.Document.Robots = append(r.Document.Robots, *robot)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	return r, nil
}

// robot makes a robot of a user with a password, nil if that cannot be.
func (r *Result) robot(name, hash string) *management.DocumentRobot {
	hash = strings.TrimSpace(hash)
	if err := authn.CheckRobotName(name); err != nil {
		r.lose("user %.128s: %v", name, err)
		return nil
	}
	if !strings.HasPrefix(hash, "$2") {
		r.lose("user %s: the password is hashed with %s, only bcrypt can be carried over: make a robot with a new secret", name, hashKind(hash))
		return nil
	}
	if _, err := authn.ParseHash(hash); err != nil {
		r.lose("user %s: %v", name, err)
		return nil
	}
	return &management.DocumentRobot{Name: name, SecretHashes: []string{hash}}
}

// hashKind calls a hash by its kind, without showing it.
func hashKind(hash string) string {
	for prefix, kind := range map[string]string{"$apr1$": "MD5", "$1$": "MD5", "{SHA}": "SHA-1", "$5$": "SHA-256 crypt", "$6$": "SHA-512 crypt", "$argon2": "argon2"} {
		if strings.HasPrefix(hash, prefix) {
			return kind
		}
	}
	return "something else, or not at all"
}
