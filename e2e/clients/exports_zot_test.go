package clients

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// TestExportedZot has a real zot verify tokens by the exported configuration.
// It runs where there is a zot. Versions before 2.1.3 know RS256 only, and those
// before 2 ask for a scope that nobody has where clients log in: so nobody does
// here.
func TestExportedZot(t *testing.T) {
	program := process.Optional(t, "zot")
	s := startTokenServer(t, upstream.Distribution2, "algorithm RS256")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "gateway.pem"), string(exported(t, s, "", "certificates")))
	text := strings.ReplaceAll(string(exported(t, s, "", "zot")), "/etc/zot/", dir+"/")
	addr := startZot(t, program, dir, text)

	sh := newShell(t, s)
	sh.addr = addr
	client := &skopeo{sh}
	must(t, client.Make("team/zot", firstTag, []byte(t.Name())))
	push := func(repository, login string) error {
		_, err := sh.run("skopeo", "copy", "--dest-tls-verify=false", "--dest-creds", login, "dir:"+client.local("team/zot", firstTag), "docker://"+sh.ref(repository, firstTag))
		return err
	}
	ci := "robot-ci:" + s.Robots["ci"].Secret
	must(t, push("team/zot", ci))
	if out, err := sh.run("skopeo", "inspect", "--tls-verify=false", "--creds", ci, "docker://"+sh.ref("team/zot", firstTag)); err != nil || !strings.Contains(out, "team/zot") {
		t.Errorf("inspect: %v: %s", err, out)
	}
	for _, refused := range []struct{ repository, login string }{
		{"other/zot", ci}, {"team/zot", "robot-reader:" + s.Robots["reader"].Secret}, {"team/zot", "robot-ci:wrong"},
	} {
		if err := push(refused.repository, refused.login); err == nil {
			t.Errorf("%s pushes to %s", refused.login[:8], refused.repository)
		}
	}
	if _, err := client.Pull("team/zot", firstTag); err == nil {
		t.Error("anonymous pull succeeds")
	}
	other, err := stage.Start(t.Context(), stage.Options{Token: "algorithm RS256"})
	must(t, err)
	defer other.Stop()
	foreign, err := other.Token(t.Context(), "robot-ci", "repository:team/zot:pull")
	must(t, err)
	if _, err := sh.run("curl", "-sS", "--fail", "-H", "Authorization: Bearer "+foreign, "http://"+addr+"/v2/team/zot/tags/list"); err == nil {
		t.Error("zot takes the token of another gateway")
	}
}

// startZot adds to a configuration where zot listens and where it keeps what
// is pushed.
func startZot(t *testing.T, program, dir, text string) (addr string) {
	t.Helper()
	var config map[string]map[string]any
	must(t, json.Unmarshal([]byte(text), &config))
	port, err := process.FreePort()
	must(t, err)
	config["http"]["address"], config["http"]["port"] = "127.0.0.1", strconv.Itoa(port)
	config["storage"] = map[string]any{"rootDirectory": filepath.Join(dir, "data")}
	file := filepath.Join(dir, "config.json")
	complete, err := json.Marshal(config)
	must(t, err)
	must(t, os.WriteFile(file, complete, 0o600))
	p, err := process.Start("zot", exec.Command(program, "serve", file), filepath.Join(dir, "zot.log"))
	must(t, err)
	t.Cleanup(func() { p.Stop() })
	addr = "127.0.0.1:" + strconv.Itoa(port)
	must(t, p.Ready(t.Context(), process.Answers("http://"+addr+"/v2/")))
	return addr
}
