package clients

import (
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// secretOptions are what a registry's pod gets of the exported Secrets: the
// variables of one and the files of another.
func secretOptions(t *testing.T, s *stage.Stage, _ string) upstream.Options {
	secrets := exportedSecrets(t, s, "")
	dir := t.TempDir() // the keys come with the Secret
	for file, content := range secrets["registry-token-keys"].StringData {
		write(t, filepath.Join(dir, file), content)
	}
	var o upstream.Options
	for variable, value := range secrets["registry-token-auth"].StringData {
		if problems := validation.IsEnvVarName(variable); len(problems) > 0 {
			t.Errorf("%s: %v", variable, problems)
		}
		o.Env = append(o.Env, variable+"="+inFolder([]byte(value), dir))
	}
	return o
}

// exportedSecrets are the exported Secrets by name. Like the API server where
// it validates strictly, it refuses what a Secret does not have.
func exportedSecrets(t *testing.T, s *stage.Stage, user string) map[string]*corev1.Secret {
	t.Helper()
	secrets := map[string]*corev1.Secret{}
	for text := range strings.SplitSeq(string(exported(t, s, user, "kubernetes")), "---\n") {
		var secret corev1.Secret
		if err := yaml.UnmarshalStrict([]byte(text), &secret); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		problems := validation.IsDNS1123Subdomain(secret.Name)
		for key := range secret.StringData {
			problems = append(problems, validation.IsConfigMapKey(key)...)
		}
		if secret.APIVersion != "v1" || secret.Kind != "Secret" || len(problems) > 0 {
			t.Errorf("%s of %s: %v", secret.Kind, secret.APIVersion, problems)
		}
		secrets[secret.Name] = &secret
	}
	if login := secrets["registry-login"]; (login == nil) != (user == "") || login != nil && login.Type != corev1.SecretTypeDockerConfigJson {
		t.Errorf("the login of %q is %+v", user, login)
	}
	return secrets
}
