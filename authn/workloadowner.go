package authn

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

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
