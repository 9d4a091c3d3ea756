package registryauth_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// documentedBlock is the n-th block of a language below a heading of
// docs/workload.md.
func documentedBlock(t *testing.T, heading, language string, n int) string {
	t.Helper()
	lines := docsPages(t)["docs/workload.md"]
	at := slices.Index(lines, heading)
	for i := at + 1; at >= 0 && i < len(lines) && !strings.HasPrefix(lines[i], "#"); i++ {
		if lines[i] != "```"+language {
			continue
		}
		end := i + slices.Index(lines[i:], "```")
		if n--; n == 0 {
			return strings.Join(lines[i+1:end], "\n") + "\n"
		}
		i = end
	}
	t.Fatalf("docs/workload.md: no such block of %s below %q", language, heading)
	return ""
}

const kubeletHeading = "### Pulling the images of pods"

// buildCredentialProvider compiles the kubelet's plugin and returns a function
// that asks it as the kubelet does.
func buildCredentialProvider(t *testing.T) func(request string) []byte {
	t.Helper()
	program := filepath.Join(t.TempDir(), "caddy-registry-credential-provider")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/caddy-registry-credential-provider")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return func(request string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Stdin = strings.NewReader(request)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// TestDocumentedCredentialProvider runs the plugin with the documented request
// and pulls with what it answers for a pod.
func TestDocumentedCredentialProvider(t *testing.T) {
	ask := buildCredentialProvider(t)
	request := documentedBlock(t, kubeletHeading, "json", 1)
	var got, want any
	if err := json.Unmarshal(ask(request), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(documentedBlock(t, kubeletHeading, "json", 2)), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}

	cluster := newJobIssuer(t)
	g := startGateway(t, `
	public_url http://registry.test
	audit_claims kubernetes.io.namespace kubernetes.io.pod.name missing
	workload team `+cluster.URL+` {
		audience registry.test
		require kubernetes.io.namespace shop
		jwks `+"`"+cluster.jwks()+"`"+`
	}
	project team/** {
		guest workload:team
	}
`)
	pod := func(namespace string) option {
		token := cluster.token(t, map[string]any{
			"sub": "system:serviceaccount:" + namespace + ":web", "ref": nil, "repository": nil,
			"kubernetes.io": map[string]any{"namespace": namespace, "pod": map[string]any{"name": "web-1"}},
		})
		var r map[string]any
		if err := json.Unmarshal([]byte(request), &r); err != nil {
			t.Fatal(err)
		}
		r["serviceAccountToken"] = token
		text, _ := json.Marshal(r)
		var answer struct {
			CacheDuration string
			Auth          map[string]struct{ Username, Password string }
		}
		if err := json.Unmarshal(ask(string(text)), &answer); err != nil {
			t.Fatal(err)
		}
		if d, err := time.ParseDuration(answer.CacheDuration); err != nil || d < 3*time.Minute || d > 4*time.Minute {
			t.Errorf("kept for %s", answer.CacheDuration)
		}
		login := answer.Auth["registry.example.com"]
		return basic(login.Username, login.Password)
	}
	token := g.token("repository:team/app:pull", pod("shop"))
	if a := g.do("GET", manifest, "", bearer(token)); a.StatusCode != 200 {
		t.Errorf("pull: %d %s", a.StatusCode, a.body)
	}
	if a := g.do("GET", manifest, "", pod("other")); a.StatusCode != 401 {
		t.Errorf("another namespace: %d", a.StatusCode)
	}
	// The job is in both lines, also where it shows a registry token.
	job := map[string]any{"kubernetes.io.namespace": "shop", "kubernetes.io.pod.name": "web-1"}
	for _, message := range []string{"registry token", "registry access"} {
		line := g.logLines(message)[0]
		if line["subject"] != "system:serviceaccount:shop:web" || !reflect.DeepEqual(line["claims"], job) {
			t.Errorf("%s: %v", message, line)
		}
	}
}

// TestDocumentedPlatforms shows the documented workloads tokens as the
// platforms issue them, and tokens of somebody else there.
func TestDocumentedPlatforms(t *testing.T) {
	m := newDocsMachine(t)
	issuer := newJobIssuer(t)
	const organisation, project = "71362723-8a36-4b2f-a0a9-4b5f8b7a3c10", "9a1b2c3d-0e4f-4a5b-8c6d-7e8f9a0b1c2d"
	for heading, test := range map[string]struct {
		claims map[string]any
		others []map[string]any
	}{
		"## Buildkite": {
			map[string]any{
				"iss": "https://agent.buildkite.com", "sub": "organization:acme:pipeline:app:ref:refs/heads/main:commit:9f3182061f1e2cca4702c368cbc039b7dc9d4485:step:image",
				"organization_slug": "acme", "organization_id": "0184990a", "pipeline_slug": "app", "pipeline_id": "0184990b",
				"build_number": 17, "build_branch": "main", "build_tag": "", "build_commit": "9f3182061f1e2cca4702c368cbc039b7dc9d4485",
				"step_key": "image", "job_id": "0184990c", "agent_id": "0184990d", "runner_environment": "self-hosted",
			},
			[]map[string]any{{"organization_slug": "evil"}, {"pipeline_slug": "other"}, {"build_branch": "feature"}, {"organization_slug": nil}},
		},
		"## CircleCI": {
			map[string]any{
				"iss": "https://oidc.circleci.com/org/" + organisation, "sub": "org/" + organisation + "/project/" + project + "/user/5c0f",
				"oidc.circleci.com/project-id": project, "oidc.circleci.com/context-ids": []string{"c1"},
				"oidc.circleci.com/vcs-origin": "github.com/acme/app", "oidc.circleci.com/vcs-ref": "refs/heads/main",
			},
			[]map[string]any{
				{"oidc.circleci.com/project-id": "other"},
				{"oidc.circleci.com/vcs-ref": "refs/heads/x"},
				{"iss": "https://oidc.circleci.com/org/another"},
				{"aud": organisation},
			},
		},
	} {
		t.Run(heading, func(t *testing.T) {
			config := documentedWorkload(t, m, heading)
			config.JWKS = json.RawMessage(issuer.jwks())
			if err := config.Validate(caddyfile.CompileClaims); err != nil {
				t.Fatal(err)
			}
			a, err := authn.NewWorkload(config, nil, authn.Options{})
			if err != nil {
				t.Fatal(err)
			}
			show := func(change map[string]any) error {
				claims := maps.Clone(test.claims)
				claims["aud"], claims["repository"], claims["ref"], claims["jti"] = "registry.example.com", nil, nil, rand.Text()
				maps.Copy(claims, change)
				_, err := a.Authenticate(t.Context(), &authn.Credential{Scheme: authn.SchemeBasic, Username: "x", Secret: issuer.token(t, claims)})
				return err
			}
			if err := show(nil); err != nil {
				t.Error(err)
			}
			for _, change := range test.others {
				if err := show(change); err == nil {
					t.Errorf("%v: accepted", change)
				}
			}
			// Without the condition on whose job it is, it does not load.
			config.Mappings[0].Require = slices.DeleteFunc(config.Mappings[0].Require, func(r authn.ClaimRequirement) bool {
				return strings.HasPrefix(r.Claim, "organization") || strings.HasSuffix(r.Claim, "project-id")
			})
			if err := config.Validate(caddyfile.CompileClaims); err == nil || !strings.Contains(err.Error(), "to everybody") {
				t.Errorf("without an owner: %v", err)
			}
		})
	}
}

// documentedWorkload is the workload of the Caddyfile below a heading.
func documentedWorkload(t *testing.T, m *docsMachine, heading string) authn.WorkloadConfig {
	t.Helper()
	for _, b := range documentedCaddyfiles(t) {
		if b.file != "docs/workload.md" || b.heading != heading {
			continue
		}
		adapted, err := m.adapt(b)
		if err != nil {
			t.Fatal(err)
		}
		var w authn.WorkloadConfig
		if err := json.Unmarshal(authenticatorsIn(t, adapted)[0], &w); err != nil {
			t.Fatal(err)
		}
		return w
	}
	t.Fatalf("docs/workload.md has no Caddyfile below %q", heading)
	return authn.WorkloadConfig{}
}

// authenticatorsIn are those of the registry_auth handler in a configuration.
func authenticatorsIn(t *testing.T, adapted []byte) []json.RawMessage {
	t.Helper()
	at := bytes.Index(adapted, []byte(`"authenticators":[`))
	if at < 0 {
		t.Fatal("no authenticators")
	}
	var list []json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(adapted[at+len(`"authenticators":`):])).Decode(&list); err != nil {
		t.Fatal(err)
	}
	return list
}
