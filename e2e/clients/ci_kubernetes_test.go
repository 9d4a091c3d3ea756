package clients

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	kubeletv1 "k8s.io/kubelet/config/v1"
	credentialv1 "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
	"sigs.k8s.io/yaml"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// strictly decodes a document as the API server and the kubelet do where they
// validate: what its type does not have is an error.
func strictly[T any](t *testing.T, text string) *T {
	t.Helper()
	var object T
	if err := yaml.UnmarshalStrict([]byte(text), &object); err != nil {
		t.Fatalf("%T: %v in\n%s", object, err, text)
	}
	return &object
}

// kubernetesSteps are the command of the job's container. The token is where
// it expects it, and for the gateway.
func kubernetesSteps(t *testing.T, manifests, addr string) string {
	parts := strings.Split(manifests, "---\n")
	namespace, account := strictly[corev1.Namespace](t, parts[0]), strictly[corev1.ServiceAccount](t, parts[1])
	job := strictly[batchv1.Job](t, parts[2])
	pod := job.Spec.Template.Spec
	if account.Namespace != namespace.Name || job.Namespace != namespace.Name || pod.ServiceAccountName != account.Name {
		t.Errorf("the job of %s in %s is not of the account %s in %s", pod.ServiceAccountName, job.Namespace, account.Name, account.Namespace)
	}
	container := pod.Containers[0]
	token := pod.Volumes[0].Projected.Sources[0].ServiceAccountToken
	if !strings.Contains(manifests, "image: "+container.Image) || token.Audience != addr ||
		!strings.Contains(container.Args[0], "< "+filepath.Join(container.VolumeMounts[0].MountPath, token.Path)+" ") {
		t.Errorf("the token is at %s, for %s", container.VolumeMounts[0].MountPath, token.Audience)
	}
	if got := strings.Join(container.Command, " "); got != "/bin/sh -ec" {
		t.Errorf("the command is %s", got)
	}
	return container.Args[0]
}

const kubeletHeading = "### Pulling the images of pods"

// TestDocumentedKubelet decodes what the documentation has the kubelet be given
// with the kubelet's own types, builds the plugin, asks it as the kubelet does,
// and pulls with the login that it answers.
func TestDocumentedKubelet(t *testing.T) {
	process.Need(t, "skopeo")
	config := strictly[kubeletv1.CredentialProviderConfig](t, documented(t, "workload.md", kubeletHeading, "yaml", 1))
	provider := config.Providers[0]
	if config.APIVersion != kubeletv1.SchemeGroupVersion.String() || provider.APIVersion != credentialv1.SchemeGroupVersion.String() || len(config.Providers) != 1 {
		t.Errorf("%s, %s", config.APIVersion, provider.APIVersion)
	}
	if a := provider.TokenAttributes; a == nil || a.ServiceAccountTokenAudience != documentedHost || a.CacheType != kubeletv1.TokenServiceAccountTokenCacheType || a.RequireServiceAccount == nil {
		t.Errorf("the token is %+v", a)
	}
	parts := strings.Split(documented(t, "workload.md", kubeletHeading, "yaml", 2), "---\n")
	role, binding := strictly[rbacv1.ClusterRole](t, parts[0]), strictly[rbacv1.ClusterRoleBinding](t, parts[1])
	if rule := role.Rules[0]; rule.Resources[0] != documentedHost || rule.Verbs[0] != "request-serviceaccounts-token-audience" || binding.RoleRef.Name != role.Name {
		t.Errorf("%+v, %+v", rule, binding)
	}

	// The program has the name by which the kubelet looks for it.
	program := filepath.Join(t.TempDir(), provider.Name)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/"+provider.Name)
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	request := strictly[credentialv1.CredentialProviderRequest](t, documented(t, "workload.md", kubeletHeading, "json", 1))
	if got, want := ask(t, program, request), strictly[credentialv1.CredentialProviderResponse](t, documented(t, "workload.md", kubeletHeading, "json", 2)); got.Auth[documentedHost] != want.Auth[documentedHost] || got.CacheKeyType != want.CacheKeyType || *got.CacheDuration != *want.CacheDuration {
		t.Errorf("the plugin answers %+v, documented is %+v", got, want)
	}
	pullAsPod(t, program, request)
}

// ask gives the plugin a request as the kubelet does, and decodes the answer as
// it does.
func ask(t *testing.T, program string, request *credentialv1.CredentialProviderRequest) *credentialv1.CredentialProviderResponse {
	t.Helper()
	in, err := json.Marshal(request)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Stdin = strings.NewReader(string(in))
	cmd.Env = []string{} // it needs nothing of a node
	out, err := cmd.Output()
	must(t, err)
	response := strictly[credentialv1.CredentialProviderResponse](t, string(out))
	if response.APIVersion != credentialv1.SchemeGroupVersion.String() || response.Kind != "CredentialProviderResponse" {
		t.Errorf("%s of %s", response.Kind, response.APIVersion)
	}
	return response
}

// pullAsPod reads an image with what the plugin makes of the tokens of pods.
func pullAsPod(t *testing.T, program string, request *credentialv1.CredentialProviderRequest) {
	t.Helper()
	cluster, err := idp.StartCertified(t.Context(), t.TempDir())
	must(t, err)
	t.Cleanup(func() { cluster.Stop() })
	s, err := stage.Start(t.Context(), stage.Options{Realm: "workload shop " + cluster.Issuer + " {\naudience " + stage.Service + "\nrequire kubernetes.io.namespace shop\n}\nproject other/app {\nguest workload:shop\n}"})
	must(t, err)
	t.Cleanup(func() { s.Stop() })
	inspect := func(namespace, repository string) error {
		token, err := cluster.JobToken(t.Context(), stage.Service, jose.Object{
			"sub": "system:serviceaccount:" + namespace + ":web", "kubernetes.io": jose.Object{"namespace": namespace, "pod": jose.Object{"name": "web-1"}},
		}, 0)
		must(t, err)
		pod := *request
		pod.Image, pod.ServiceAccountToken = s.Addr+"/"+repository+":x", token
		response := ask(t, program, &pod)
		if d := response.CacheDuration.Duration; d < 3*time.Minute || d > 4*time.Minute {
			t.Errorf("kept for %s", d)
		}
		login := response.Auth[s.Addr]
		_, err = newShell(t, s).run("skopeo", "inspect", "--tls-verify=false", "--creds", login.Username+":"+login.Password, "docker://"+pod.Image)
		return err
	}
	must(t, inspect("shop", "other/app"))
	if inspect("elsewhere", "other/app") == nil || inspect("shop", "team/app") == nil {
		t.Error("a pod of another namespace pulls, or what others have")
	}
}
