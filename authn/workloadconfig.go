package authn

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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

// Some issuers serve everybody: whoever has an account there can have a token
// with our audience in it. Without a condition on whose job it is, such an
// issuer opens the registry to the world.

// ownerClaims says, by claim, what the text of a required value before its
// first "*" must look like for the value to name an owner.
type ownerClaims map[string]*regexp.Regexp

var (
	// A whole value; one with a "*" could be completed by somebody else's.
	wholeValue = regexp.MustCompile(`\A[^*]+\z`)
	// An owner and the slash after it: acme/app, acme/*.
	ownerAndSlash = regexp.MustCompile(`\A[^/:*]+/`)
	// A whole group, or one with what is below it: acme, acme/*.
	groupPath = regexp.MustCompile(`\A[^/:*]+(?:/|\z)`)
)

// publicIssuers are the issuers that serve everybody, by host.
var publicIssuers = map[string]ownerClaims{
	"token.actions.githubusercontent.com": {
		"repository": ownerAndSlash, "workflow_ref": ownerAndSlash, // not job_workflow_ref: anybody may call a public workflow
		"repository_id": wholeValue, "repository_owner": wholeValue, "repository_owner_id": wholeValue,
		"enterprise": wholeValue, "enterprise_id": wholeValue,
		// The form of the subject can be changed by its owner.
		"sub": regexp.MustCompile(`\A(?:repo:[^/:*]+/|(?:repository|repository_id|repository_owner|repository_owner_id|enterprise|enterprise_id):[^:*]+(?::|\z))`),
	},
	"gitlab.com": {
		"namespace_path": groupPath, "project_path": ownerAndSlash, "namespace_id": wholeValue, "project_id": wholeValue,
		"sub": regexp.MustCompile(`\Aproject_path:[^/:*]+/`),
	},
	"agent.buildkite.com": {
		"organization_slug": wholeValue, "organization_id": wholeValue, "pipeline_id": wholeValue,
		"sub": regexp.MustCompile(`\Aorganization:[^:*]+:`),
	},
	"oidc.circleci.com": {
		"oidc.circleci.com/project-id": wholeValue, "oidc.circleci.com/org-id": wholeValue,
		"sub": regexp.MustCompile(`\Aorg/[^/*]+/`),
	},
	"accounts.google.com": {
		"sub": wholeValue, "email": wholeValue, "hd": wholeValue,
	},
	"app.terraform.io": {
		"terraform_organization_id": wholeValue, "terraform_organization_name": wholeValue, "terraform_workspace_id": wholeValue,
		"terraform_project_id": wholeValue, "sub": regexp.MustCompile(`\Aorganization:[^:*]+:`),
	},
}

// checkOwner returns an error if the issuer serves everybody and no
// requirement says whose jobs are meant. The values of a requirement are
// alternatives: each has to.
func checkOwner(issuer string, require []ClaimRequirement) error {
	u, err := url.Parse(issuer)
	if err != nil {
		return err
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	claims, public := publicIssuers[host]
	if !public {
		return nil
	}
	for _, r := range require {
		if form, ok := claims[r.Claim]; ok && !slices.ContainsFunc(r.Values, func(v string) bool { return !namesOwner(form, v) }) {
			return nil
		}
	}
	names := strings.Join(slices.Sorted(maps.Keys(claims)), ", ")
	return fmt.Errorf("%s issues tokens to everybody who has an account there: require whose jobs are meant, without a wildcard in the owner's name, by one of %s", host, names)
}

// namesOwner reports whether a required value has a whole owner in it.
func namesOwner(form *regexp.Regexp, value string) bool {
	if form == wholeValue {
		return form.MatchString(value)
	}
	literal, _, wild := strings.Cut(value, "*")
	if wild {
		// What comes after is not known: the form must not end here.
		literal += "*"
	}
	return form.MatchString(literal)
}

// mapping is a compiled [WorkloadMapping].
type mapping struct {
	name      string
	kind      Kind   // of the principal
	as        string // its name
	terms     string
	audiences []string
	require   []requirement
	when      []condition
	times     claimRules // of which only the times are used
	singleUse bool
}

// requirement is a compiled [ClaimRequirement].
type requirement struct {
	claim  string
	exact  []string
	globs  []*regexp.Regexp
	verify bool // of an e-mail address: the issuer must not say it is unverified
}

// condition is an expression and what it was compiled to.
type condition struct {
	text string
	ClaimsCondition
}

// refuses returns why a token is not this workload's, "" if it is. A token
// that is also good elsewhere could be replayed from there: it is refused.
func (m *mapping) refuses(claims map[string]any, audiences []string) string {
	if len(audiences) == 0 {
		return "the token has no audience"
	}
	for _, a := range audiences {
		if !slices.Contains(m.audiences, a) {
			return fmt.Sprintf("audience %.80q is not accepted", a)
		}
	}
	for i := range m.require {
		if reason := m.require[i].refuses(claims); reason != "" {
			return reason
		}
	}
	for _, c := range m.when {
		switch holds, err := c.Holds(claims); {
		case err != nil:
			return fmt.Sprintf("when `%.120s` cannot be evaluated: %.120v", c.text, err)
		case !holds:
			return fmt.Sprintf("when `%.120s` does not hold", c.text)
		}
	}
	return ""
}

// refuses returns why the claim is not as required, "" if it is.
func (r *requirement) refuses(claims map[string]any) string {
	v, ok := LookupClaim(claims, r.claim)
	if !ok {
		return fmt.Sprintf("claim %s is missing", r.claim)
	}
	if r.verify {
		if verified, present := claims["email_verified"]; present && verified != true && verified != "true" {
			return "the issuer has not verified the e-mail address"
		}
	}
	values := claimTexts(v)
	if slices.ContainsFunc(values, r.accepts) {
		return ""
	}
	if len(values) == 0 {
		return fmt.Sprintf("claim %s is neither a text nor a list of texts", r.claim)
	}
	return fmt.Sprintf("claim %s is %.120q, which is not among the values required", r.claim, values[0])
}

func (r *requirement) accepts(value string) bool {
	return slices.Contains(r.exact, value) ||
		slices.ContainsFunc(r.globs, func(g *regexp.Regexp) bool { return g.MatchString(value) })
}

// claimTexts returns a claim, or the members of one that is a list, as text.
// Some issuers write numbers and truth values as such, others as text.
func claimTexts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case bool:
		return []string{strconv.FormatBool(v)}
	case float64:
		// Beyond 2^53 two different numbers may read the same.
		if v < 1<<53 && v > -1<<53 && v == float64(int64(v)) {
			return []string{strconv.FormatInt(int64(v), 10)}
		}
	case []any:
		var texts []string
		for _, member := range v {
			if _, nested := member.([]any); !nested {
				texts = append(texts, claimTexts(member)...)
			}
		}
		return texts
	}
	return nil
}

// parseGlob compiles a value that has a "*": that stands for any run of
// characters but "/" and ":", which separate the parts of names, and "**"
// for any run at all.
func parseGlob(value string) (*regexp.Regexp, error) {
	if strings.Contains(value, "***") {
		return nil, fmt.Errorf("value %.120q has more than two \"*\" in a row", value)
	}
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for i, part := range strings.Split(value, "**") {
		if i > 0 {
			b.WriteString(`.*`)
		}
		for j, literal := range strings.Split(part, "*") {
			if j > 0 {
				b.WriteString(`[^/:]*`)
			}
			b.WriteString(regexp.QuoteMeta(literal))
		}
	}
	b.WriteString(`\z`)
	return regexp.Compile(b.String())
}
