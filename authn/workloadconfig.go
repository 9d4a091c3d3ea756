package authn

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// WorkloadName is the name of the authenticator's kind.
const WorkloadName = "workload"

// WorkloadConfig declares an issuer of OIDC tokens for CI jobs or service
// accounts, and which of its tokens stand for which workload.
type WorkloadConfig struct {
	// The issuer, exactly as it spells itself in its tokens, for example
	// `https://token.actions.githubusercontent.com`.
	Issuer string `json:"issuer"`

	// The workloads. The first whose audience and requirements a token meets
	// is the one that it stands for.
	Mappings []WorkloadMapping `json:"mappings"`

	// The signature algorithms that are accepted, as for an `oidc` provider.
	// Default: RS256 and ES256.
	Algorithms []string `json:"algorithms,omitempty"`

	// The absolute path of a file with the issuer's key set (JWKS), for an
	// issuer that the gateway cannot reach. It is read again every
	// `jwks_max_age`. Default: the keys are found by discovery.
	JWKSFile string `json:"jwks_file,omitempty"`

	// The issuer's key set itself, instead of a file.
	JWKS json.RawMessage `json:"jwks,omitempty"`

	// How long keys are used before they are fetched again. Default: 10
	// minutes.
	JWKSMaxAge Duration `json:"jwks_max_age,omitempty"`

	// How long keys are used beyond that while the issuer cannot be reached.
	// Default: 1 hour.
	JWKSGrace Duration `json:"jwks_grace,omitempty"`

	// How far clocks may differ. Default: 60 seconds, at most 5 minutes.
	ClockSkew Duration `json:"clock_skew,omitempty"`

	// If true, the issuer may be reached by http:// although it is on another
	// machine, where anybody between can forge tokens. For tests.
	InsecureIssuer bool `json:"insecure_issuer,omitempty"`
}

// WorkloadMapping says which tokens of an issuer stand for a workload.
type WorkloadMapping struct {
	// The workload's name, by which policies know it (`workload:NAME`):
	// letters and digits, separated by single `.`, `_` or `-`.
	Name string `json:"name"`

	// The audiences of which the token must have at least one, and no other
	// than these: what was issued for somebody else must not open the
	// registry. Mandatory.
	Audiences []string `json:"audiences"`

	// What the claims of the token must say. All must hold, and at least one
	// of these or of `when` is needed. Issuers that serve everybody need one
	// here that names an owner.
	Require []ClaimRequirement `json:"require,omitempty"`

	// Expressions in CEL over `claims` that must hold as well. One that cannot
	// be evaluated, for want of a claim for example, does not hold.
	When []string `json:"when,omitempty"`

	// The robot as which the workload acts, as `robot:NAME`: rules and logs
	// then know it by that name. A robot that is declared under it lends its
	// state: while it is disabled, the workload is refused. Default: the
	// workload is itself, `workload:NAME`.
	As string `json:"as,omitempty"`

	// The age, counted from its `iat`, from which a token is refused even if
	// it has not expired. Default: 1 hour.
	MaxAge Duration `json:"max_age,omitempty"`

	// If true, each token is accepted once, by its `jti`. For jobs that
	// exchange it at the token endpoint and go on with what they get.
	SingleUse bool `json:"single_use,omitempty"`
}

// ClaimRequirement is a condition on a claim of a token.
type ClaimRequirement struct {
	// The claim. Dots reach into nested claims.
	Claim string `json:"claim"`

	// The values of which the claim, or a member of it if it is a list, must
	// be one. Upper and lower case differ. `*` stands for any characters but
	// `/` and `:`, `**` for any characters.
	Values []string `json:"values"`
}

const defaultWorkloadMaxAge = time.Hour

var workloadNamePattern = regexp.MustCompile(`^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$`)

// CheckWorkloadName returns an error if name is not a name for a workload.
func CheckWorkloadName(name string) error {
	if len(name) > maxRobotName || !workloadNamePattern.MatchString(name) {
		return fmt.Errorf("workload name %.64q: want letters and digits separated by single '.', '_' or '-', at most %d", name, maxRobotName)
	}
	return nil
}

// ClaimsCondition is a compiled condition on the claims of a token. An error is
// why it cannot be said whether it holds.
type ClaimsCondition interface {
	Holds(claims map[string]any) (bool, error)
}

// CompileClaims compiles an expression of `when`.
type CompileClaims func(text string) (ClaimsCondition, error)

// Validate returns what is wrong with the declaration, naming the field.
func (c WorkloadConfig) Validate(when CompileClaims) error {
	_, err := c.compile(when)
	return err
}

// compile checks the declaration and compiles its mappings.
func (c WorkloadConfig) compile(when CompileClaims) ([]mapping, error) {
	if err := c.checkIssuer(); err != nil {
		return nil, fmt.Errorf("workload issuer %.200s: %w", c.Issuer, err)
	}
	if len(c.Mappings) == 0 {
		return nil, fmt.Errorf("workload issuer %s: no workload is declared", c.Issuer)
	}
	mappings := make([]mapping, 0, len(c.Mappings))
	for _, m := range c.Mappings {
		if slices.ContainsFunc(mappings, func(other mapping) bool { return other.name == m.Name }) {
			return nil, fmt.Errorf("workload %s is declared twice", m.Name)
		}
		compiled, err := m.compile(c.Issuer, when)
		if err != nil {
			return nil, err
		}
		compiled.times.skew = c.ClockSkew.OrDefault(defaultClockSkew)
		mappings = append(mappings, compiled)
	}
	return mappings, nil
}

func (c WorkloadConfig) checkIssuer() error {
	if err := CheckIssuer(c.Issuer, c.InsecureIssuer); err != nil {
		return err
	}
	if c.JWKSFile != "" && c.JWKS != nil {
		return errors.New("jwks_file and jwks are both given")
	}
	if c.JWKSFile != "" && !filepath.IsAbs(c.JWKSFile) {
		return fmt.Errorf("jwks_file %.200q is not an absolute path", c.JWKSFile)
	}
	if c.JWKS != nil {
		if _, err := parseJWKS(c.JWKS, time.Time{}); err != nil {
			return fmt.Errorf("jwks: %w", err)
		}
	}
	return checkVerification(c.Algorithms, c.JWKSMaxAge, c.JWKSGrace, c.ClockSkew)
}

// compile checks one mapping.
func (m WorkloadMapping) compile(issuer string, when CompileClaims) (mapping, error) {
	if err := CheckWorkloadName(m.Name); err != nil {
		return mapping{}, err
	}
	wrong := func(format string, args ...any) (mapping, error) {
		return mapping{}, fmt.Errorf("workload %s: %w", m.Name, fmt.Errorf(format, args...))
	}
	switch {
	case len(m.Audiences) == 0:
		return wrong("audience is missing, so that tokens for any other service would be accepted")
	case slices.Contains(m.Audiences, ""):
		return wrong("an audience is empty")
	case len(m.Require)+len(m.When) == 0:
		return wrong("require is missing, so that every token of the issuer would be accepted")
	case m.MaxAge < 0:
		return wrong("max_age is negative")
	}
	out := mapping{
		name: m.Name, audiences: slices.Clone(m.Audiences), singleUse: m.SingleUse,
		times: claimRules{maxAge: m.MaxAge.OrDefault(defaultWorkloadMaxAge)},
	}
	for _, r := range m.Require {
		compiled, err := r.compile()
		if err != nil {
			return wrong("require: %w", err)
		}
		out.require = append(out.require, compiled)
	}
	if len(m.When) > 0 && when == nil {
		return wrong("when: nothing here compiles conditions")
	}
	for _, text := range m.When {
		compiled, err := when(text)
		if err != nil {
			return wrong("when `%s`: %w", text, err)
		}
		out.when = append(out.when, condition{text, compiled})
	}
	if err := checkOwner(issuer, m.Require); err != nil {
		return wrong("%w", err)
	}
	if err := out.actAs(m.As); err != nil {
		return wrong("as: %w", err)
	}
	out.terms = m.terms(issuer)
	return out, nil
}

func (r ClaimRequirement) compile() (requirement, error) {
	out := requirement{claim: r.Claim, verify: r.Claim == "email"}
	if r.Claim == "" {
		return out, errors.New("the name of the claim is missing")
	}
	if len(r.Values) == 0 {
		return out, fmt.Errorf("%s: no value is given", r.Claim)
	}
	for _, v := range r.Values {
		switch {
		case v == "":
			return out, fmt.Errorf("%s: a value is empty", r.Claim)
		case !strings.Contains(v, "*"):
			out.exact = append(out.exact, v)
		default:
			glob, err := parseGlob(v)
			if err != nil {
				return out, fmt.Errorf("%s: %w", r.Claim, err)
			}
			out.globs = append(out.globs, glob)
		}
	}
	return out, nil
}
