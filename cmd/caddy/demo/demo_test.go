package demo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-registry-auth/caddy-registry-auth"
	"github.com/caddy-registry-auth/caddy-registry-auth/cmd/caddy/demo"
)

// asCaddy in the environment makes the test binary the caddy binary, so that
// a test can run the command in a process of its own and interrupt it.
const asCaddy = "DEMO_TEST_AS_CADDY"

func TestMain(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main()
		return
	}
	os.Exit(m.Run())
}

// start starts a demo on ports of its own, below a temporary folder.
func start(t *testing.T, data string) *demo.Demo {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	d, err := demo.Start(context.Background(), demo.Options{
		Listen: "127.0.0.1:0", Provider: "127.0.0.1:0", Data: data,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// answer is what a test looks at of a response.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request. The credential is "", "Bearer …" or "user:password".
func ask(t *testing.T, method, target, credential, contentType, body string) answer {
	t.Helper()
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json, */*")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if user, password, basic := strings.Cut(credential, ":"); basic {
		req.SetBasicAuth(user, password)
	} else if credential != "" {
		req.Header.Set("Authorization", credential)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// field returns a member of a JSON answer.
func (a answer) field(t *testing.T, name string) string {
	t.Helper()
	m := map[string]any{}
	if err := json.Unmarshal([]byte(a.body), &m); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return fmt.Sprint(m[name])
}

// TestSteps asks over HTTP for what the printed lines ask for with docker.
func TestSteps(t *testing.T) {
	d := start(t, "")
	scoped := func(credential, scope string) string {
		q := url.Values{"service": {d.Gateway[len("http://"):]}, "scope": {scope}}
		return "Bearer " + ask(t, http.MethodGet, d.Gateway+"/v2/token?"+q.Encode(), credential, "", "").field(t, "token")
	}
	want := func(what string, a answer, status int) answer {
		t.Helper()
		if a.status != status {
			t.Errorf("%s: %d %s, want %d", what, a.status, a.body, status)
		}
		return a
	}
	manifests := func(repository string) string { return d.Gateway + "/v2/" + repository + "/manifests/latest" }
	uploads := func(repository string) string { return d.Gateway + "/v2/" + repository + "/blobs/uploads/" }

	anonymous := scoped("", "repository:public/hello:pull")
	hello := want("anonymous pull", ask(t, "GET", manifests("public/hello"), anonymous, "", ""), 200)
	want("pull without a token", ask(t, "GET", manifests("public/hello"), "", "", ""), 200)
	want("anonymous push", ask(t, "POST", uploads("team-a/hello"), "", "", ""), 401)
	want("anonymous push with a token", ask(t, "POST", uploads("team-a/hello"), scoped("", "repository:team-a/hello:pull,push"), "", ""), 401)

	login := "robot-ci:" + d.RobotSecret
	robot := scoped(login, "repository:team-a/hello:pull,push repository:public/hello:pull")
	push(t, d.Gateway, robot, hello.body)
	want("pull by the robot", ask(t, "GET", manifests("team-a/hello"), robot, "", ""), 200)
	want("robot elsewhere", ask(t, "POST", uploads("public/mine"), scoped(login, "repository:public/mine:pull,push"), "", ""), 401)
	want("robot with a wrong secret", ask(t, "GET", d.Gateway+"/v2/token", "robot-ci:wrong", "", ""), 401)

	bob := idToken(t, d, "bob")
	tags := want("tags by bob", ask(t, "GET", d.Gateway+"/v2/team-a/hello/tags/list", "Bearer "+bob, "", ""), 200)
	if !strings.Contains(tags.body, `"latest"`) {
		t.Errorf("tags: %s", tags.body)
	}
	want("login of bob", ask(t, "GET", d.Gateway+"/v2/token?account=bob", "bob:"+bob, "", ""), 200)
	want("deletion by bob", ask(t, "DELETE", manifests("team-a/hello"), "Bearer "+bob, "", ""), 403)

	alice := "Bearer " + idToken(t, d, "alice")
	want("deletion by alice", ask(t, "DELETE", manifests("team-a/hello"), alice, "", ""), 202)
	want("catalog by alice", ask(t, "GET", d.Gateway+"/v2/_catalog", alice, "", ""), 200)
}

// push copies public/hello, whose manifest is given, to team-a/hello as docker
// does: blobs mounted, then the manifest.
func push(t *testing.T, gateway, token, manifest string) {
	t.Helper()
	type descriptor struct{ Digest string }
	var m struct {
		Config descriptor
		Layers []descriptor
	}
	if err := json.Unmarshal([]byte(manifest), &m); err != nil {
		t.Fatal(err)
	}
	for _, blob := range append(m.Layers, m.Config) {
		q := url.Values{"mount": {blob.Digest}, "from": {"public/hello"}}
		a := ask(t, "POST", gateway+"/v2/team-a/hello/blobs/uploads/?"+q.Encode(), token, "", "")
		if a.status != http.StatusCreated {
			t.Fatalf("mounting %s: %d %s", blob.Digest, a.status, a.body)
		}
		if loc := a.header.Get("Location"); !strings.HasPrefix(loc, "/v2/team-a/hello/") && !strings.HasPrefix(loc, gateway) {
			t.Errorf("mounted at %q", loc)
		}
	}
	a := ask(t, "PUT", gateway+"/v2/team-a/hello/manifests/latest", token, "application/vnd.oci.image.manifest.v1+json", manifest)
	if a.status != http.StatusCreated {
		t.Fatalf("pushing the manifest: %d %s", a.status, a.body)
	}
}

func idToken(t *testing.T, d *demo.Demo, name string) string {
	t.Helper()
	form := url.Values{
		"grant_type": {"password"}, "client_id": {"registry"}, "username": {name}, "password": {name + "-password"},
	}
	return ask(t, "POST", d.Provider+"/token", "", "application/x-www-form-urlencoded", form.Encode()).field(t, "id_token")
}

func TestDataStays(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for range 2 { // a second demo finds the first one's data
		d := start(t, data)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(data, "docker", "registry", "v2", "repositories", "public", "hello")); err != nil {
			t.Error(err)
		}
	}
}

func TestCaddyfileIsFormatted(t *testing.T) {
	d := start(t, "")
	if got := string(caddyfile.Format([]byte(d.Caddyfile))); got != d.Caddyfile {
		t.Errorf("the demo shows a Caddyfile that `caddy fmt` changes to\n%s", got)
	}
}

func TestStartRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	freePort := "127.0.0.1:0"
	for name, c := range map[string]struct {
		options demo.Options
		want    string
	}{
		"gateway port taken":  {demo.Options{Listen: taken.Addr().String(), Provider: freePort}, "--listen"},
		"provider port taken": {demo.Options{Listen: freePort, Provider: taken.Addr().String()}, "--provider"},
		"all interfaces":      {demo.Options{Listen: "0.0.0.0:0", Provider: freePort}, "--listen"},
		"no port":             {demo.Options{Listen: freePort, Provider: "127.0.0.1"}, "--provider"},
		"data is a file":      {demo.Options{Listen: freePort, Provider: freePort, Data: file}, "--data"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			_, err := demo.Start(context.Background(), c.options)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error that names %s", err, c.want)
			}
			empty(t, os.TempDir())
		})
	}
}

// empty fails if there is anything below dir.
func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	hidden, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left)+len(hidden) > 0 {
		t.Errorf("left behind in %s: %v %v %v", dir, left, hidden, err)
	}
}
