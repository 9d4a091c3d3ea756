package authn

import (
	"encoding/json"
	"strings"
	"testing"
)

// An issuer that serves everybody needs a condition on whose jobs are meant.
func TestWorkloadOwner(t *testing.T) {
	const (
		github    = "https://token.actions.githubusercontent.com"
		gitlab    = "https://gitlab.com"
		buildkite = "https://agent.buildkite.com"
		circleci  = "https://oidc.circleci.com/org/7f2c"
		google    = "https://accounts.google.com"
		terraform = "https://app.terraform.io"
	)
	for _, test := range []struct {
		issuer, claim, values string
		ok                    bool
	}{
		{github, "sub", "repo:corp/app:ref:refs/heads/main", true},
		{github, "sub", "repo:corp/*:ref:refs/heads/main", true},
		{github, "sub", "repo:corp/**", true},
		{github, "sub", "repository_owner:corp:ref:**", true},
		{github, "sub", "repository_owner:corp", true},
		{github, "sub", "*", false},
		{github, "sub", "**", false},
		{github, "sub", "repo:*", false},
		{github, "sub", "repo:**", false},
		{github, "sub", "repo:*/*:ref:refs/heads/main", false},
		{github, "sub", "repo:corp*", false},
		{github, "sub", "repo:corp**", false},
		{github, "sub", "repo:corp*/app:**", false},
		{github, "sub", "**corp/app:**", false},
		{github, "sub", "repository_owner:corp*", false},
		{github, "sub", "ref:refs/heads/main", false}, // a form that its owner chose
		{github, "sub", "environment:prod", false},
		{github, "sub", "repo:corp/app:ref:refs/heads/main **", false},
		{github, "repository", "corp/app", true},
		{github, "repository", "corp/*", true},
		{github, "repository", "corp/app corp/web", true},
		{github, "repository", "corp/app */web", false},
		{github, "repository", "corp", false},
		{github, "repository", "*/app", false},
		{github, "repository", "**", false},
		{github, "repository_owner", "corp", true},
		{github, "repository_owner", "corp*", false},
		{github, "repository_owner", "*", false},
		{github, "repository_owner_id", "65", true},
		{github, "repository_id", "74", true},
		{github, "workflow_ref", "corp/app/.github/workflows/x.yml@refs/heads/main", true},
		{github, "job_workflow_ref", "corp/shared/.github/workflows/x.yml@refs/heads/main", false}, // anybody may call it
		{github, "ref", "refs/heads/main", false},
		{github, "actor", "alice", false},
		{github, "iss", github, false},
		{"https://TOKEN.actions.githubusercontent.com", "ref", "x", false},
		{"https://token.actions.githubusercontent.com/corp", "ref", "x", false},
		{"https://token.actions.githubusercontent.com:443", "ref", "x", false},
		{"https://token.actions.githubusercontent.com.", "ref", "x", false},

		{gitlab, "namespace_path", "corp", true},
		{gitlab, "namespace_path", "corp/**", true},
		{gitlab, "namespace_path", "corp**", false},
		{gitlab, "project_path", "corp/app", true},
		{gitlab, "project_path", "*/app", false},
		{gitlab, "project_id", "17", true},
		{gitlab, "sub", "project_path:corp/*:ref_type:branch:ref:main", true},
		{gitlab, "sub", "project_path:*/app:ref_type:branch:ref:main", false},
		{gitlab, "ref_protected", "true", false},
		{"https://gitlab.example.com", "ref_protected", "true", true},

		{buildkite, "organization_slug", "corp", true},
		{buildkite, "sub", "organization:corp:pipeline:**", true},
		{buildkite, "sub", "organization:corp*:pipeline:**", false},
		{buildkite, "pipeline_slug", "app", false},
		{circleci, "oidc.circleci.com/project-id", "9a", true},
		{circleci, "sub", "org/7f2c/project/9a/user/*", true},
		{circleci, "sub", "org/*/project/9a/user/*", false},
		{google, "sub", "1122", true},
		{google, "email", "ci@corp.iam.gserviceaccount.com", true},
		{google, "email", "*@corp.iam.gserviceaccount.com", false},
		{google, "email_verified", "true", false},
		{terraform, "terraform_organization_name", "corp", true},
		{terraform, "sub", "organization:corp:**", true},
		{terraform, "terraform_run_phase", "apply", false},
		{"https://kubernetes.default.svc.cluster.local", "sub", "system:serviceaccount:ci:*", true},
	} {
		c := WorkloadConfig{Issuer: test.issuer, Mappings: []WorkloadMapping{{Name: "w", Audiences: []string{"a"}, Require: []ClaimRequirement{{test.claim, strings.Fields(test.values)}}}}}
		err := c.Validate(nil)
		if (err == nil) != test.ok {
			t.Errorf("%s: require %s %s: %v", test.issuer, test.claim, test.values, err)
		}
		if err != nil && !strings.Contains(err.Error(), "to everybody") {
			t.Errorf("error %v", err)
		}
	}
}

func TestWorkloadConfigErrors(t *testing.T) {
	good := func() WorkloadConfig {
		return WorkloadConfig{Issuer: "https://ci.test", Mappings: []WorkloadMapping{requireSub("w", "x")}}
	}
	for _, test := range []struct {
		want   string
		change func(*WorkloadConfig)
	}{
		{"issuer is missing", func(c *WorkloadConfig) { c.Issuer = "" }},
		{"insecure_issuer", func(c *WorkloadConfig) { c.Issuer = "http://ci.test" }},
		{"no workload", func(c *WorkloadConfig) { c.Mappings = nil }},
		{"twice", func(c *WorkloadConfig) { c.Mappings = append(c.Mappings, c.Mappings[0]) }},
		{"workload name", func(c *WorkloadConfig) { c.Mappings[0].Name = "a b" }},
		{"workload name", func(c *WorkloadConfig) { c.Mappings[0].Name = "" }},
		{"audience is missing", func(c *WorkloadConfig) { c.Mappings[0].Audiences = nil }},
		{"audience is empty", func(c *WorkloadConfig) { c.Mappings[0].Audiences = []string{""} }},
		{"require is missing", func(c *WorkloadConfig) { c.Mappings[0].Require = nil }},
		{"name of the claim", func(c *WorkloadConfig) { c.Mappings[0].Require[0].Claim = "" }},
		{"no value", func(c *WorkloadConfig) { c.Mappings[0].Require[0].Values = nil }},
		{"value is empty", func(c *WorkloadConfig) { c.Mappings[0].Require[0].Values = []string{"a", ""} }},
		{"in a row", func(c *WorkloadConfig) { c.Mappings[0].Require[0].Values = []string{"a***"} }},
		{"max_age", func(c *WorkloadConfig) { c.Mappings[0].MaxAge = -1 }},
		{"clock_skew", func(c *WorkloadConfig) { c.ClockSkew = Duration(1 << 60) }},
		{"jwks_max_age", func(c *WorkloadConfig) { c.JWKSMaxAge = 1 }},
		{"jwks_grace", func(c *WorkloadConfig) { c.JWKSGrace = -1 }},
		{"HS256", func(c *WorkloadConfig) { c.Algorithms = []string{"HS256"} }},
		{"absolute", func(c *WorkloadConfig) { c.JWKSFile = "jwks.json" }},
		{"both", func(c *WorkloadConfig) { c.JWKSFile, c.JWKS = "/jwks.json", json.RawMessage("{}") }},
		{"no usable", func(c *WorkloadConfig) { c.JWKS = json.RawMessage(`{"keys":[]}`) }},
	} {
		c := good()
		test.change(&c)
		if _, err := NewWorkload(c, nil, Options{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
	if err := good().Validate(nil); err != nil {
		t.Error(err)
	}
}
