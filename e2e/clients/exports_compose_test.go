package clients

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// composeOptions are what the container of the exported compose.yaml gets. It
// is loaded with the library that docker compose itself loads it with.
func composeOptions(t *testing.T, s *stage.Stage, dir string) upstream.Options {
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "compose.yaml"), Content: exported(t, s, "", "compose")}},
	}, func(o *loader.Options) { o.SetProjectName("exported", true) })
	must(t, err)
	service, err := project.GetService("registry")
	must(t, err)
	if !strings.HasPrefix(service.Image, "registry:") || len(service.Configs) != 1 || len(service.Volumes) != 1 || service.Volumes[0].Target != "/var/lib/registry" {
		t.Fatalf("the service is %+v", service)
	}
	var o upstream.Options
	for variable, value := range service.Environment {
		// What the container sees at the target is this file.
		mounted := service.Configs[0]
		o.Env = append(o.Env, variable+"="+strings.ReplaceAll(*value, mounted.Target, project.Configs[mounted.Source].File))
	}
	return o
}
