package management

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// SecretInput is a secret that the caller chose, or its hash.
type SecretInput struct {
	Secret     string `json:"secret,omitempty" doc:"A secret of your choice: 8 to 128 characters with an upper-case and a lower-case letter and a digit. Better leave it out, then one is made." max:"128"`
	SecretHash string `json:"secret_hash,omitempty" doc:"The hash of a secret, as new-secret and hash-secret print it, or argon2id or bcrypt." max:"512"`
}

// Bounds of secrets that people choose.
const (
	minChosen  = 8
	maxChosen  = 128
	maxSecrets = 8 // that a robot may have at once
)

// defaultOverlap is how long a secret that was replaced stays good.
const defaultOverlap = 24 * time.Hour

// maxOverlap is how long it may.
const maxOverlap = 90 * 24 * time.Hour

// givenSecret is a secret that the caller chose.
type givenSecret struct {
	secret string // empty if only the hash was given
	stored string
}

// newSecret checks and hashes what the caller chose, nil if nothing was.
func (m *Manager) newSecret(ctx context.Context, robot string, in SecretInput) (*givenSecret, error) {
	switch {
	case in.Secret == "" && in.SecretHash == "":
		return nil, nil
	case in.Secret != "" && in.SecretHash != "":
		return nil, invalid("secret_hash", "give either the secret or its hash")
	}
	g := &givenSecret{secret: in.Secret, stored: strings.TrimSpace(in.SecretHash)}
	if g.secret != "" {
		if err := checkChosen(g.secret); err != nil {
			return nil, err
		}
		var hashing error
		if err := m.pool.Do(ctx, authn.Claimant{Account: "management"}, func() bool {
			g.stored, hashing = authn.HashSecret(g.secret)
			return true
		}); err != nil {
			return nil, err
		}
		if hashing != nil {
			return nil, invalid("secret", "looks like one that was made here, and is broken")
		}
	}
	hash, err := authn.ParseHash(g.stored)
	if err != nil {
		return nil, invalid("secret_hash", "%v", err)
	}
	if id := hash.ID(); id != "" && m.secretTaken(id, robot) {
		return nil, invalid("secret_hash", "another robot has a secret with this id")
	}
	return g, nil
}

// secretTaken reports whether a robot of another name has a secret with that
// id: it could not log in any more.
func (m *Manager) secretTaken(id, robot string) bool {
	if r := m.state.RobotBySecret(id); r != nil && r.Name() != robot {
		return true
	}
	return slices.ContainsFunc(m.declared.Robots, func(d DeclaredRobot) bool {
		return slices.ContainsFunc(d.SecretHashes, func(stored string) bool {
			hash, err := authn.ParseHash(stored)
			return err == nil && hash.ID() == id
		})
	})
}

// checkChosen holds what a person chose to Harbor's rule.
func checkChosen(secret string) error {
	if _, err := authn.ParseSecret(secret); err == nil {
		if !strings.HasPrefix(secret, string(authn.SecretRobot)+"_") {
			return invalid("secret", "is a secret of another kind")
		}
		return nil
	}
	var upper, lower, digit bool
	for _, r := range secret {
		upper, lower, digit = upper || unicode.IsUpper(r), lower || unicode.IsLower(r), digit || unicode.IsDigit(r)
		if !unicode.IsPrint(r) {
			return invalid("secret", "has characters that cannot be printed")
		}
	}
	switch {
	case len(secret) < minChosen || len(secret) > maxChosen:
		return invalid("secret", "want %d to %d characters", minChosen, maxChosen)
	case !upper || !lower || !digit:
		return invalid("secret", "want an upper-case letter, a lower-case letter and a digit at least")
	}
	return nil
}

// sameSecret reports whether a robot has the secret that is given, or none is.
func (m *Manager) sameSecret(ctx context.Context, have []state.RobotSecret, given *givenSecret) (bool, error) {
	if given == nil {
		return true, nil
	}
	if len(have) != 1 || !have[0].Until.IsZero() {
		return false, nil
	}
	if given.secret == "" {
		return have[0].Hash == given.stored, nil
	}
	hash, err := authn.ParseHash(have[0].Hash)
	if err != nil {
		return false, nil //nolint:nilerr // what cannot be read is replaced
	}
	same := false
	if err := m.pool.Do(ctx, authn.Claimant{Account: "management"}, func() bool {
		same = hash.Matches(given.secret)
		return same
	}); err != nil {
		return false, err
	}
	return same, nil
}

// Rotation says how a robot's secret is replaced.
type Rotation struct {
	SecretInput
	Overlap *int `json:"overlap_seconds,omitempty" doc:"How long the secrets that there are stay good, in seconds; 0: not at all. A day if it is not given." max:"7776000"`
}

// RotateRobot gives a robot a new secret. Robots may do it for themselves.
func (m *Manager) RotateRobot(ctx context.Context, who *Caller, name string, in Rotation, match Match) (*RobotWithSecret, error) {
	self := isRobot(who, name)
	if !self {
		if err := needs(who, ScopeRobotsWrite); err != nil {
			return nil, err
		}
		if !m.managesRobot(who, name) {
			return nil, noRobot(name)
		}
	}
	if m.declaredRobot(name) != nil {
		return nil, fail(CodeDeclared, "robot %s is declared in the configuration: change its secret there", name)
	}
	if by := m.takenBy(name); by != "" {
		return nil, nameTaken(name, by)
	}
	overlap := defaultOverlap
	if in.Overlap != nil {
		overlap = time.Duration(*in.Overlap) * time.Second
	}
	if overlap < 0 || overlap > maxOverlap {
		return nil, invalid("overlap_seconds", "want 0 to %d", int(maxOverlap.Seconds()))
	}
	given, err := m.newSecret(ctx, name, in.SecretInput)
	if err != nil {
		return nil, err
	}
	var made *RobotWithSecret
	err = m.again(ctx, func() error {
		item, ok := m.state.Robots.Get(name)
		if !ok {
			return noRobot(name)
		}
		if err := match.check(item.Revision, false); err != nil {
			return err
		}
		if self && replaced(who, item.Value) {
			return fail(CodeForbidden, "the secret that you show was replaced: use the new one")
		}
		if !self {
			var wrong problems
			m.mayHandOn(who, handedRobot(item.Value), &wrong)
			if err := wrong.forbidden("the robot may do more than you"); err != nil {
				return err
			}
		}
		made, err = m.rotate(ctx, who, item, given, overlap)
		return err
	})
	return made, err
}

// replaced reports whether a robot shows a secret that was replaced: it is good
// until it ends, and not for getting another one.
func replaced(who *Caller, r *state.Robot) bool {
	return slices.ContainsFunc(r.Secrets, func(s state.RobotSecret) bool {
		return !s.Until.IsZero() && showSecret(s.Hash, s.Created, s.Until).ID == who.Principal.CredentialID
	})
}

func (m *Manager) rotate(ctx context.Context, who *Caller, item *state.Item[state.Robot], given *givenSecret, overlap time.Duration) (*RobotWithSecret, error) {
	if err := mayCreate(who); err != nil {
		return nil, err
	}
	now := m.second()
	next := *item.Value
	next.Secrets = nil
	for _, s := range item.Value.Secrets {
		end := now.Add(overlap)
		if overlap > 0 && m.now().After(now) {
			end = end.Add(time.Second) // the overlap at least, in whole seconds
		}
		if s.Until.IsZero() || s.Until.After(end) {
			s.Until = end
		}
		if m.now().Before(s.Until) {
			next.Secrets = append(next.Secrets, s)
		}
	}
	if len(next.Secrets) >= maxSecrets {
		return nil, fail(CodeConflict, "the robot has %d secrets: end some of them first", len(next.Secrets))
	}
	shown := ""
	if given == nil {
		secret, stored := authn.NewSecret(authn.SecretRobot)
		given, shown = &givenSecret{stored: stored}, secret
	}
	for _, s := range next.Secrets {
		if s.Hash == given.stored {
			return nil, invalid("secret_hash", "the robot has this secret already")
		}
	}
	next.Secrets = append(next.Secrets, state.RobotSecret{Hash: given.stored, Created: now})
	next.Updated = now
	return m.writeRobot(ctx, who, "robot.rotate", item, &next, state.Unchanged(item), shown)
}

// EndRobotSecret ends one of a robot's secrets at once. The last one cannot be
// ended: disable the robot.
func (m *Manager) EndRobotSecret(ctx context.Context, who *Caller, name, id string, match Match) error {
	self := isRobot(who, name)
	if !self {
		if err := needs(who, ScopeRobotsWrite); err != nil {
			return err
		}
		if !m.managesRobot(who, name) {
			return noRobot(name)
		}
	}
	if m.declaredRobot(name) != nil {
		return fail(CodeDeclared, "robot %s is declared in the configuration: change its secrets there", name)
	}
	if by := m.takenBy(name); by != "" {
		return nameTaken(name, by)
	}
	return m.again(ctx, func() error {
		item, ok := m.state.Robots.Get(name)
		if !ok {
			return noRobot(name)
		}
		if err := match.check(item.Revision, false); err != nil {
			return err
		}
		if self && id != who.Principal.CredentialID && replaced(who, item.Value) {
			return fail(CodeForbidden, "the secret that you show was replaced: use the new one")
		}
		next := *item.Value
		next.Secrets = slices.DeleteFunc(slices.Clone(next.Secrets), func(s state.RobotSecret) bool { return showSecret(s.Hash, s.Created, s.Until).ID == id })
		switch {
		case len(next.Secrets) == len(item.Value.Secrets):
			return fail(CodeNotFound, "robot %s has no secret %.64q", name, id)
		case len(next.Secrets) == 0:
			return fail(CodeConflict, "it is the only secret of robot %s: rotate it, or disable the robot", name)
		}
		next.Updated = m.second()
		_, err := m.writeRobot(ctx, who, "robot.end_secret", item, &next, state.Unchanged(item), "")
		return err
	})
}

// newNumber returns a number that no robot has.
func (m *Manager) newNumber() int64 {
	for {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails
		n := int64(binary.BigEndian.Uint64(b[:]) >> (64 - numberBits))
		if _, taken := m.robotByNumber(n); n != 0 && !taken {
			return n
		}
	}
}

// robotByNumber returns the stored robot with a number.
func (m *Manager) robotByNumber(n int64) (*state.Item[state.Robot], bool) {
	for item := range m.state.Robots.All() {
		if item.Value.Number == n {
			return item, true
		}
	}
	return nil, false
}
