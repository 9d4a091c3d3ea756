package browser

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/engine"
)

// TestSignIn goes from nothing to the first page, sees the session, and loses
// it in each of its ways.
func TestSignIn(t *testing.T) {
	s := newScene(t)
	w := s.window(t)
	w.signIn("alice")
	w.says("What I may do", "team/**", "you are in the group team-maintainers", "public/**")

	t.Run("sessions", func(t *testing.T) {
		other := s.window(t)
		other.signIn("alice")
		w.open("/auth/sessions")
		w.says("this one", "Chrome on Linux")
		w.press("Sign out all others")
		w.says("Are you sure?")
		w.press("Sign out")
		w.says("Signed out.")
		other.open("/auth/csrf")
		if text := other.text(); !strings.Contains(text, "token") { // the provider's session lets it in again
			t.Error(text)
		}
	})
	t.Run("the registry reads the session", func(t *testing.T) {
		w.open("/v2/team/app/tags/list")
		w.says("NAME_UNKNOWN") // the registry's own answer: nobody was refused
	})
	t.Run("signing out", func(t *testing.T) {
		w.open("/auth/")
		w.press("Sign out")
		w.says("You are signed out", "You are still signed in at Example Corp.")
		w.open("/v2/team/app/tags/list")
		w.says("UNAUTHORIZED")
	})
}

// TestBackChannelLogout signs out at the provider: the session here ends.
func TestBackChannelLogout(t *testing.T) {
	s := newScene(t)
	w := s.window(t)
	w.signIn("alice")
	w.do(
		chromedp.Navigate(s.idp.Issuer+"/session/end"),
		chromedp.WaitVisible(chromedp.CSS("button[name=logout]")),
		chromedp.Click(chromedp.CSS("button[name=logout]")),
		chromedp.WaitNotPresent(chromedp.CSS("button[name=logout]")),
		chromedp.WaitReady(chromedp.CSS("body")),
		chromedp.Sleep(500*time.Millisecond), // it goes on by itself
	)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		w.open("/v2/team/app/tags/list")
		if strings.Contains(w.text(), "UNAUTHORIZED") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the session goes on")
		}
	}
	w.open("/auth/")
	w.do(chromedp.WaitVisible(chromedp.CSS("#username")))
}

// TestTokenWithDocker makes an access token on the page, pushes with it, sees
// that it was used, and withdraws it.
func TestTokenWithDocker(t *testing.T) {
	engine.Need(t)
	s := newScene(t)
	engines, err := engine.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engines.Stop)
	d := &docker{T: t, host: engines.DockerHost(), home: t.TempDir()}
	w := s.window(t)
	w.signIn("alice")
	w.open("/auth/tokens")
	w.do(chromedp.SendKeys(chromedp.CSS("input[name=name]"), "laptop"))
	w.press("Create token")
	w.confirm("Create token")
	line, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](`document.querySelectorAll("pre")[1].innerText`))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(line, "echo 'crapt_") || !strings.HasSuffix(line, " | docker login "+s.addr+" --username alice --password-stdin") {
		t.Fatalf("the line to copy is %q", line)
	}
	if out, err := d.shell(line); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	image := s.addr + "/team/browser:1"
	if out, err := d.shell("echo hello > file && tar c file | docker import - " + image + " && docker push " + image); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.open("/auth/tokens")
	w.says("laptop", "127.0.0.1")
	if strings.Contains(w.text(), "crapt_") {
		t.Error("the token is shown again")
	}
	w.press("Revoke")
	w.says("Are you sure?")
	w.press("Revoke")
	w.says("Token revoked.", "You have no tokens.")
	if out, err := d.shell("docker pull " + image); err == nil {
		t.Errorf("docker still pulls:\n%s", out)
	}
	if out, err := d.shell(line); err == nil {
		t.Errorf("docker still logs in:\n%s", out)
	}
}

// docker runs command lines as a person does.
type docker struct {
	*testing.T
	host, home string
}

func (d *docker) shell(line string) (string, error) {
	cmd := exec.CommandContext(d.Context(), "sh", "-c", line)
	cmd.Dir = d.home
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.host, "HOME="+d.home, "DOCKER_CONFIG="+filepath.Join(d.home, ".docker"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestPages looks at every page, on a desk and a telephone, in the light and
// in the dark.
func TestPages(t *testing.T) {
	s := newScene(t)
	program := checker(t)
	w := s.window(t)
	w.lookAt(program, map[string]string{"sign-in": "/auth/sign-in", "error": "/auth/callback?state=x"})
	w.signIn("admin")
	w.furnish()
	code, _ := s.askForCode(t, "build-host", "repository:web/**:pull,push")
	w.open("/auth/users")
	user, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](`document.querySelector("td a").getAttribute("href")`))
	if err != nil {
		t.Fatal(err)
	}
	w.lookAt(program, map[string]string{
		"device": "/auth/device?user_code=" + code, "device-code": "/auth/device", "device-unknown": "/auth/device?user_code=BCDF-GHJK",
		"overview": "/auth/", "tokens": "/auth/tokens", "sessions": "/auth/sessions", "clients": "/auth/clients", "not-found": "/auth/nothing",
		"projects": "/auth/projects", "project": "/auth/projects/one?name=web", "robots": "/auth/robots", "robot-new": "/auth/robots/new", "robot": "/auth/robots/one?name=web%2Bci",
		"role-mappings": "/auth/role-mappings", "users": "/auth/users", "user": user, "signing-keys": "/auth/signing-keys",
		"audit": "/auth/audit", "explain": "/auth/explain?q=team/app&action=push&who=user:bob", "health": "/auth/health",
	})
	w.open("/auth/robots/one?name=web%2Bci")
	w.press("Disable")
	w.says("Are you sure?")
	w.lookHere(program, "confirmation")
	w.fill("/auth/tokens", "Create token", "name", "desk", "permissions", "web/** pull")
	w.password()
	w.says("Create this access token?")
	w.lookHere(program, "create")
	w.open("/auth/")
	w.press("Sign out")
	w.says("You are signed out")
	w.lookHere(program, "signed-out")
}

// furnish makes a few things, so that the pages are not empty.
func (w *window) furnish() {
	w.Helper()
	w.fill("/auth/projects", "Create project", "name", "web", "patterns", "web/** shop/**", "description", "The web shop")
	w.says("Saved.")
	w.fill("/auth/projects/one?name=web", "Save member", "subject", "group:web-developers")
	w.says("Saved.", "group:web-developers")
	w.fill("/auth/robots/new", "Create robot", "name", "web+ci", "permissions", "web/** pull push", "description", "Builds on the CI server")
	w.confirm("Create robot")
	w.says("Shown once", "craro_")
	w.fill("/auth/robots/new", "Create robot", "name", "mirror", "permissions", "** pull", "expires", time.Now().AddDate(0, 0, 9).Format("01022006"))
	w.confirm("Create robot")
	w.says("Shown once")
	w.fill("/auth/role-mappings", "Give the role", "principal", "group:auditors", "patterns", "web/**")
	w.says("Saved.")
	w.fill("/auth/tokens", "Create token", "name", "laptop")
	w.confirm("Create token")
	w.says("Shown once", "docker login")
	w.fill("/auth/projects", "Create project", "name", "web", "patterns", "web/**")
	w.says("There is a project")
	w.letIn("docker on laptop")
	w.letIn("podman on desk")
}

// letIn logs a device in with a code.
func (w *window) letIn(device string) {
	w.Helper()
	user, code := w.scene.askForCode(w.T, device, "")
	w.open("/auth/device?user_code=" + user)
	w.says("Allow this login?", user, device, "127.0.0.1", "the address of this browser", "everything you can do", "they would get your access")
	w.press("Continue")
	w.confirm("Allow")
	w.says("The device is logged in")
	answer := w.scene.post(w.T, "/auth/device/token", url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"docker-credential-caddy-registry"}, "device_code": {code},
	})
	if token, _ := answer["refresh_token"].(string); !strings.HasPrefix(token, "crait_") {
		w.Fatalf("the device got %v", answer["error"])
	}
}

// askForCode begins the login of a device, as the credential helper does.
func (s *scene) askForCode(t *testing.T, device, scope string) (user, code string) {
	t.Helper()
	answer := s.post(t, "/auth/device/code", url.Values{"client_id": {"docker-credential-caddy-registry"}, "client_name": {device}, "scope": {scope}})
	user, _ = answer["user_code"].(string)
	code, _ = answer["device_code"].(string)
	if user == "" || code == "" {
		t.Fatalf("no code: %v", answer)
	}
	return user, code
}

// post sends a form as a program does.
func (s *scene) post(t *testing.T, path string, form url.Values) map[string]any {
	t.Helper()
	res, err := http.PostForm(s.url+path, form)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatalf("%s: %s: %v", path, res.Status, err)
	}
	return answer
}

// fill fills the fields of a form and sends it.
func (w *window) fill(path, button string, fields ...string) {
	w.Helper()
	w.open(path)
	for i := 0; i+1 < len(fields); i += 2 {
		w.do(chromedp.SendKeys(chromedp.CSS("main form.fill [name="+fields[i]+"]"), fields[i+1]))
	}
	w.press(button)
}
