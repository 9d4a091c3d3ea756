package browser

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestScriptsOfAnInterfaceBehindCreateNothing: a web interface behind the
// gateway, on the same host, has the session of whoever looks at it. It gets
// no credential by it.
func TestScriptsOfAnInterfaceBehindCreateNothing(t *testing.T) {
	ui := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
		_, _ = w.Write([]byte("<!doctype html><title>UI</title><main><h1>UI</h1></main>"))
	}))
	t.Cleanup(ui.Close)
	with := strings.Replace(site, "\tother_paths deny\n", "", 1)
	with = strings.Replace(with, "\t\ttoken {", "\t\tmanagement\n\t\ttoken {", 1)
	with = strings.Replace(with, "\treverse_proxy", "\treverse_proxy /ui/* "+ui.URL+"\n\treverse_proxy", 1)
	s := newSceneWith(t, with)
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
