package clients

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/postgres"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

const sharedSite = `
http://127.0.0.1:%d {
	registry_auth {
		public_url http://registry.test
		robot ci {
			secret_hash {env.CI}
		}
		project team/** {
			allow pull push overwrite robot:ci
			immutable v*
		}
		owner_only repository team/**
	}
	reverse_proxy %s
}
`

// TestTwoGatewaysOneTag has two gateways that share a database push different
// images to the same new immutable tag at the same moment: one wins.
func TestTwoGatewaysOneTag(t *testing.T) {
	postgres.Need(t)
	process.Need(t, upstream.Distribution3.Program)
	database, err := postgres.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { database.Stop() })
	registry, err := upstream.Start(t.Context(), upstream.Distribution3, t.TempDir(), upstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registry.Stop() })
	secret, stored := stage.NewSecret()
	gateways := []string{
		startSharing(t, database, registry, stored),
		startSharing(t, database, registry, stored),
	}
	direct := &upstream.Client{URL: registry.URL}
	var images []*upstream.Image
	for i := range gateways {
		image, err := upstream.NewImage("content.txt", fmt.Appendf(nil, "by gateway %d", i))
		if err != nil {
			t.Fatal(err)
		}
		if err := direct.Push(t.Context(), "team/app", image.Digest(), image); err != nil {
			t.Fatal(err)
		}
		images = append(images, image)
	}
	won := make([]int, len(gateways))
	for round := range 12 {
		tag := fmt.Sprintf("v%d", round)
		statuses := make([]int, len(gateways))
		var group sync.WaitGroup
		for i, url := range gateways {
			group.Go(func() { statuses[i] = putManifest(t, url+"/v2/team/app/manifests/"+tag, secret, images[i].Manifest) })
		}
		group.Wait()
		winner := slices.Index(statuses, http.StatusCreated)
		if winner < 0 || statuses[1-winner] != http.StatusPreconditionFailed {
			t.Fatalf("%s: %v", tag, statuses)
		}
		won[winner]++
		manifest, err := direct.Manifest(t.Context(), "team/app", tag)
		if err != nil || !bytes.Equal(manifest, images[winner].Manifest) {
			t.Errorf("%s is not what won: %v", tag, err)
		}
	}
	t.Logf("won: %v", won)
}

// startSharing starts a gateway with a database and returns its address.
func startSharing(t *testing.T, database *postgres.Server, registry *upstream.Registry, hash string) string {
	t.Helper()
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	g, err := gateway.Start(context.WithoutCancel(t.Context()), gateway.Config{
		Global:   "registry_auth {\nstore postgres {env.DSN}\n}",
		Sites:    fmt.Sprintf(sharedSite, port, registry.URL),
		Env:      []string{"CI=" + hash, "DSN=" + database.DSN()},
		ReadyURL: url + "/v2/",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if faults := g.Log.Faults(0); len(faults) > 0 {
			t.Error(faults)
		}
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	})
	return url
}

func putManifest(t *testing.T, url, secret string, manifest []byte) int {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, bytes.NewReader(manifest))
	if err != nil {
		t.Error(err)
		return 0
	}
	req.Header.Set("Content-Type", upstream.ManifestType)
	req.SetBasicAuth("robot-ci", secret)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body) // for the log only
	t.Logf("%s: %s %s", url, res.Status, body)
	return res.StatusCode
}
