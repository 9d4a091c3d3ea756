package clients

import (
	"crypto/x509"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// documentedHost is what the gateway is called in the documentation.
const documentedHost = "registry.example.com"

// platform is a platform whose jobs the documentation lets in.
type platform struct {
	heading string
	issuer  string      // of the platform's tokens, in the Caddyfile
	claims  jose.Object // of a job that is let in
	evil    jose.Object // what another job has instead
	image   string      // that a job pushes
	// steps are the shell commands of the documented workflow.
	steps func(t *testing.T, workflow, addr string) string
	// env is what the platform sets for a job, besides its token.
	env []string

	addr string // of the gateway that goes by the documented Caddyfile
	tls  bool
}

var platforms = []*platform{
	{
		heading: "## GitHub Actions", issuer: "https://token.actions.githubusercontent.com",
		claims: jose.Object{
			"sub": "repo:acme/app:ref:refs/tags/v1.2.3", "repository": "acme/app", "repository_id": "123456", "repository_owner": "acme",
			"ref": "refs/tags/v1.2.3", "event_name": "push", "runner_environment": "github-hosted",
		},
		evil:  jose.Object{"sub": "repo:evil/app:ref:refs/tags/v1.2.3", "repository": "evil/app", "repository_owner": "evil"},
		image: "acme/app:v1.2.3", env: []string{"GITHUB_REF_NAME=v1.2.3"}, steps: githubSteps,
	},
	{
		heading: "## GitLab CI", issuer: "https://gitlab.com",
		claims: jose.Object{
			"sub": "project_path:acme/app:ref_type:tag:ref:v1.2.4", "namespace_path": "acme", "project_path": "acme/app", "ref": "v1.2.4", "ref_protected": "true",
		},
		evil:  jose.Object{"sub": "project_path:evil/app:ref_type:tag:ref:v1.2.4", "namespace_path": "evil", "project_path": "evil/app"},
		image: "acme/app:v1.2.4", env: []string{"CI_COMMIT_TAG=v1.2.4"}, steps: gitlabSteps,
	},
	{
		heading: "## Kubernetes", issuer: "https://kubernetes.default.svc.cluster.local",
		claims: jose.Object{
			"sub":           "system:serviceaccount:ci:builder",
			"kubernetes.io": jose.Object{"namespace": "ci", "serviceaccount": jose.Object{"name": "builder"}, "pod": jose.Object{"name": "copy-x"}},
		},
		evil:  jose.Object{"sub": "system:serviceaccount:evil:builder"},
		image: "acme/alpine:3", steps: kubernetesSteps, tls: true, // skopeo login has it no other way
	},
	{
		heading: "## Buildkite", issuer: "https://agent.buildkite.com",
		claims: jose.Object{
			"sub": "organization:acme:pipeline:app:ref:refs/heads/main:commit:9f3182:step:image", "organization_slug": "acme", "pipeline_slug": "app",
			"build_branch": "main", "build_number": 17, "job_id": "0184990c",
		},
		evil:  jose.Object{"organization_slug": "evil"},
		image: "acme/app:17", env: []string{"BUILDKITE_BUILD_NUMBER=17"}, steps: buildkiteSteps,
	},
	{
		heading: "## CircleCI", issuer: "https://oidc.circleci.com/org/71362723-8a36-4b2f-a0a9-4b5f8b7a3c10",
		claims: jose.Object{
			"sub":                          "org/71362723-8a36-4b2f-a0a9-4b5f8b7a3c10/project/9a1b2c3d-0e4f-4a5b-8c6d-7e8f9a0b1c2d/user/5c0f",
			"oidc.circleci.com/project-id": "9a1b2c3d-0e4f-4a5b-8c6d-7e8f9a0b1c2d", "oidc.circleci.com/vcs-ref": "refs/heads/main",
		},
		evil:  jose.Object{"oidc.circleci.com/project-id": "00000000-0e4f-4a5b-8c6d-7e8f9a0b1c2d"},
		image: "acme/app:9f3182", env: []string{"CIRCLE_SHA1=9f3182"}, steps: circleSteps,
	},
}

// ciScene is a gateway with a site for each documented Caddyfile, before one
// registry. A certified provider issues the tokens of all platforms.
type ciScene struct {
	provider *idp.Certified
	direct   *upstream.Client
	gateway  *gateway.Gateway
	certs    *authority
	dir      string
}

// TestDocumentedWorkflows runs the commands of the documented workflow files as
// their platforms do, against gateways with the documented Caddyfiles. The host
// and the issuers are others; nothing else is.
func TestDocumentedWorkflows(t *testing.T) {
	process.Need(t, "node", "npm", "curl", "jq", "skopeo", "bash", upstream.Distribution2.Program)
	e := needEngines(t)
	s := startCI(t)
	for _, p := range platforms {
		t.Run(strings.TrimPrefix(p.heading, "## "), func(t *testing.T) {
			script := p.steps(t, strings.ReplaceAll(documented(t, "workload.md", p.heading, "yaml", 1), documentedHost, p.addr), p.addr)
			repository, tag, _ := strings.Cut(p.image, ":")
			if out, err := s.job(t, e.DockerHost(), p, with(p.claims, p.evil), script); err == nil {
				t.Errorf("somebody else's job succeeds:\n%s", out)
			}
			if _, err := s.direct.Manifest(t.Context(), repository, tag); err == nil {
				t.Fatalf("%s is there after somebody else's job", p.image)
			}
			if out, err := s.job(t, e.DockerHost(), p, p.claims, script); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if _, err := s.direct.Manifest(t.Context(), repository, tag); err != nil {
				t.Errorf("%s: %v", p.image, err)
			}
		})
	}
}

// with are the claims of a job that is like another but for some.
func with(claims, others jose.Object) jose.Object {
	all := maps.Clone(claims)
	maps.Copy(all, others)
	return all
}

func startCI(t *testing.T) *ciScene {
	t.Helper()
	s := &ciScene{dir: t.TempDir()}
	var err error
	s.provider, err = idp.StartCertified(t.Context(), t.TempDir())
	must(t, err)
	t.Cleanup(func() { s.provider.Stop() })
	registry, err := upstream.Start(t.Context(), upstream.Distribution2, filepath.Join(s.dir, "registry"), upstream.Options{})
	must(t, err)
	t.Cleanup(func() { registry.Stop() })
	s.direct = &upstream.Client{URL: registry.URL}
	keys, err := newShell(t, &stage.Stage{}).run("curl", "-fsS", s.provider.Issuer+"/jwks") // kubectl get --raw /openid/v1/jwks
	must(t, err)
	write(t, filepath.Join(s.dir, "cluster-jwks.json"), keys)
	s.certs = newAuthority(t)
	server := s.certs.issue("server", func(c *x509.Certificate) { c.DNSNames = []string{"localhost"} })
	var sites strings.Builder
	for i, p := range platforms {
		port, err := process.FreePort()
		must(t, err)
		p.addr = fmt.Sprintf("127.0.0.1:%d", port)
		url, lines := "http://"+p.addr, ""
		if p.tls {
			p.addr = fmt.Sprintf("localhost:%d", port)
			url, lines = "https://"+p.addr, "tls "+server
		}
		sites.WriteString(strings.NewReplacer(
			"https://"+documentedHost, url, documentedHost+" {\n\tregistry_auth {", fmt.Sprintf("%s {\n%s\nregistry_auth {\nrealm site%d", url, lines, i),
			documentedHost, p.addr, p.issuer, s.provider.Issuer, "/etc/caddy/", s.dir+"/", "localhost:5000", registry.URL,
		).Replace(documented(t, "workload.md", p.heading, "caddyfile", 1)))
	}
	s.gateway, err = gateway.Start(t.Context(), gateway.Config{Global: "auto_https off", Sites: sites.String(), ReadyURL: "http://" + platforms[0].addr + "/v2/"})
	must(t, err)
	t.Cleanup(func() { s.gateway.Stop() })
	return s
}

// job runs a script with the environment of a job.
func (s *ciScene) job(t *testing.T, dockerHost string, p *platform, claims jose.Object, script string) (string, error) {
	t.Helper()
	token, err := s.provider.JobToken(t.Context(), p.addr, claims, 0)
	must(t, err)
	sh := newShell(t, &stage.Stage{Addr: p.addr}, append(p.env,
		"DOCKER_HOST="+dockerHost,
		"ACTIONS_ID_TOKEN_REQUEST_URL="+s.provider.JobRequestURL(claims), "ACTIONS_ID_TOKEN_REQUEST_TOKEN="+idp.JobRequestToken,
		"REGISTRY_TOKEN="+token, "SSL_CERT_FILE="+s.certs.file("ca"))...)
	s.hub(t, sh)
	must(t, os.WriteFile(sh.path("Dockerfile"), []byte("FROM scratch\nCOPY Dockerfile /\n"), 0o600))
	write(t, sh.path("token"), token) // what the kubelet projects
	for _, agent := range []string{"buildkite-agent", "circleci"} {
		standIn(t, sh, agent, p.addr, token)
	}
	write(t, sh.path("script"), strings.ReplaceAll(script, "/var/run/secrets/registry/", sh.home+"/"))
	return sh.run("bash", "-eo", "pipefail", sh.path("script"))
}

// standIn is a platform's agent, as far as it hands out the token of a job.
func standIn(t *testing.T, sh *shell, name, audience, token string) {
	t.Helper()
	must(t, os.MkdirAll(sh.path("bin"), 0o700))
	text := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in\n*oidc*%s*) echo %s ;;\n*) exit 1 ;;\nesac\n", audience, token)
	must(t, os.WriteFile(sh.path("bin/"+name), []byte(text), 0o700))
	if path := "PATH=" + sh.path("bin") + ":"; !strings.HasPrefix(sh.env[0], path) {
		sh.env[0] = path + strings.TrimPrefix(sh.env[0], "PATH=")
	}
}

// hub has skopeo find the images of Docker Hub at the test's registry.
func (s *ciScene) hub(t *testing.T, sh *shell) {
	t.Helper()
	image, err := upstream.NewImage(contentFile, []byte("alpine"))
	must(t, err)
	must(t, s.direct.Push(t.Context(), "hub/library/alpine", "3", image))
	location := strings.TrimPrefix(s.direct.URL, "http://") + "/hub"
	must(t, os.MkdirAll(sh.path(".config/containers"), 0o700))
	write(t, sh.path(".config/containers/registries.conf"), fmt.Sprintf("[[registry]]\nprefix = \"docker.io\"\nlocation = %q\ninsecure = true\n", location))
}

// githubSteps are the "run" lines of all steps.
func githubSteps(t *testing.T, workflow, _ string) string {
	var w struct {
		Permissions map[string]string
		Jobs        map[string]struct{ Steps []struct{ Run string } }
	}
	must(t, yaml.Unmarshal([]byte(workflow), &w))
	if w.Permissions["id-token"] != "write" {
		t.Error("without this permission there is no token")
	}
	var all strings.Builder
	for _, step := range w.Jobs["image"].Steps {
		all.WriteString(step.Run + "\n")
	}
	return all.String()
}

// gitlabSteps are the lines of the job's script.
func gitlabSteps(t *testing.T, workflow, addr string) string {
	var w struct {
		Image struct {
			IDTokens map[string]struct{ Aud string } `json:"id_tokens"`
			Script   []string
		}
	}
	must(t, yaml.Unmarshal([]byte(workflow), &w))
	if w.Image.IDTokens["REGISTRY_TOKEN"].Aud != addr {
		t.Errorf("the token is for %v", w.Image.IDTokens)
	}
	return strings.Join(w.Image.Script, "\n")
}

// buildkiteSteps are the commands, once the agent has read the pipeline: $$ is
// a dollar then.
func buildkiteSteps(t *testing.T, workflow, _ string) string {
	var w struct{ Steps []struct{ Command []string } }
	must(t, yaml.Unmarshal([]byte(workflow), &w))
	return strings.ReplaceAll(strings.Join(w.Steps[0].Command, "\n"), "$$", "$")
}

// circleSteps are the commands of the run steps, which are a text or an object.
func circleSteps(t *testing.T, workflow, _ string) string {
	var w struct {
		Jobs map[string]struct{ Steps []any }
	}
	must(t, yaml.Unmarshal([]byte(workflow), &w))
	var all strings.Builder
	for _, step := range w.Jobs["image"].Steps {
		object, _ := step.(map[string]any)
		switch run := object["run"].(type) {
		case string:
			all.WriteString(run + "\n")
		case map[string]any:
			all.WriteString(run["command"].(string) + "\n")
		}
	}
	return all.String()
}
