package authn

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

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
