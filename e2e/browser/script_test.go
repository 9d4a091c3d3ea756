package browser

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// newInterfaceScene has a web interface behind the gateway, below /ui/. It asks
// for the same isolation as the pages, so that it may hold on to their windows.
func newInterfaceScene(t *testing.T) *scene {
	t.Helper()
	ui := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
		_, _ = w.Write([]byte(`<!doctype html><title>UI</title><main><h1>UI</h1><button id="open" onclick="pop = window.open('/auth/tokens', 'pop')">Open</button></main>`))
	}))
	t.Cleanup(ui.Close)
	with := strings.Replace(site, "\tother_paths deny\n", "", 1)
	with = strings.Replace(with, "\t\ttoken {", "\t\tmanagement\n\t\ttoken {", 1)
	with = strings.Replace(with, "\treverse_proxy", "\treverse_proxy /ui/* "+ui.URL+"\n\treverse_proxy", 1)
	return newSceneWith(t, with)
}

// TestScriptsOfAnInterfaceBehindCreateNothing: a web interface behind the
// gateway, on the same host, has the session of whoever looks at it. It gets
// no credential by it.
func TestScriptsOfAnInterfaceBehindCreateNothing(t *testing.T) {
	s := newInterfaceScene(t)
	w := s.window(t)
	w.signIn("admin")
	w.open("/ui/")
	w.says("UI")
	for name, script := range map[string]string{
		"the form": `(async () => {
			const csrf = (await (await fetch('/auth/csrf')).json()).token;
			const body = new URLSearchParams({csrf, name: 'x', days: '7', confirmed: 'yes'});
			return await (await fetch('/auth/tokens', {method: 'POST', body})).text();
		})()`,
		"the form of a robot": `(async () => {
			const csrf = (await (await fetch('/auth/csrf')).json()).token;
			const body = new URLSearchParams({csrf, name: 'x', permissions: '** pull push'});
			return await (await fetch('/auth/robots/new', {method: 'POST', body})).text();
		})()`,
		"the API": `(async () => {
			const csrf = (await (await fetch('/auth/csrf')).json()).token;
			const headers = {'Content-Type': 'application/json', 'X-Csrf-Token': csrf};
			const answers = [];
			for (const [path, body] of [['tokens', {name: 'x'}], ['keys', {name: 'x', scopes: ['*']}], ['robots', {name: 'x'}]]) {
				answers.push(await (await fetch('/auth/api/v1/' + path, {method: 'POST', headers, body: JSON.stringify(body)})).text());
			}
			return answers.join();
		})()`,
		"a frame": `new Promise((done) => {
			const frame = document.createElement('iframe');
			frame.src = '/auth/tokens';
			frame.onload = () => { try { done(frame.contentDocument.body.innerText) } catch (e) { done('' + e) } };
			document.body.append(frame);
		})`,
	} {
		got, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, secret := range []string{"crapt_", "craro_", "craak_", "New token"} {
			if strings.Contains(got, secret) {
				t.Errorf("%s gets at %s: %s", name, secret, got)
			}
		}
	}
	for _, page := range []string{"/auth/tokens", "/auth/robots"} {
		w.open(page)
		if text := w.text(); !strings.Contains(text, "You have no tokens.") && !strings.Contains(text, "There are no robots here.") {
			t.Errorf("%s: %s", page, text)
		}
	}
}

// TestNoWindowHoldsTheLastPage: a script opens the pages in a window of its own
// and sends their form there. When the person has signed in again, that window
// is lost to it.
func TestNoWindowHoldsTheLastPage(t *testing.T) {
	s := newInterfaceScene(t)
	w := s.window(t)
	w.signIn("alice")
	w.open("/ui/")
	opened := chromedp.WaitNewTarget(w.ctx, func(info *target.Info) bool { return info.URL != "" })
	w.do(chromedp.Click(chromedp.CSS("#open")))
	ctx, end := chromedp.NewContext(w.ctx, chromedp.WithTargetID(<-opened))
	t.Cleanup(end)
	popup := &window{T: t, scene: s, ctx: ctx, user: "alice"}
	popup.do(chromedp.WaitVisible(chromedp.CSS("form.fill [name=name]")))
	try := func(script string) string {
		t.Helper()
		got, err := chromedp.Run(w.ctx, chromedp.Evaluate[string]("(() => { try { return '' + ("+script+") } catch (e) { return 'lost: ' + e } })()"))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := try("pop.document.querySelector('h1').innerText"); got != "Access tokens" {
		t.Fatalf("the script does not reach the form, so that this shows nothing: %s", got)
	}
	try("(pop.document.querySelector('form.fill [name=name]').value = 'x', pop.document.querySelector('form.fill').submit())")
	// A window that is cut off is another one for whoever drives the browser.
	there := s.windowAt(t, w, "/interaction/")
	there.do(
		chromedp.WaitVisible(chromedp.CSS("#username")), chromedp.SendKeys(chromedp.CSS("#username"), "alice"),
		chromedp.SendKeys(chromedp.CSS("#password"), "alice-pw"), chromedp.Click(chromedp.CSS("#signin")),
	)
	s.windowAt(t, w, "/auth/callback").says("Create this access token?", "x")
	if got := try("pop.document.body.innerText"); !strings.HasPrefix(got, "lost") {
		t.Errorf("the script reads the last page: %s", got)
	}
	if got := try("window.open('', 'pop').document.body.innerText"); strings.Contains(got, "Create this") {
		t.Errorf("the script finds the last page by its name: %s", got)
	}
}

// windowAt waits for a window of the same browser that shows an address.
func (s *scene) windowAt(t *testing.T, w *window, address string) *window {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		list, err := chromedp.Targets(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range list {
			if info.Type == "page" && strings.Contains(info.URL, address) {
				ctx, end := chromedp.NewContext(w.ctx, chromedp.WithTargetID(info.TargetID))
				t.Cleanup(end)
				return &window{T: t, scene: s, ctx: ctx, user: w.user}
			}
		}
	}
	t.Fatalf("no window is at %s", address)
	return nil
}
