package browser

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// window is a browser with a profile of its own.
type window struct {
	*testing.T
	scene *scene
	ctx   context.Context
	user  string
}

func (s *scene) window(t *testing.T) *window {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("hide-scrollbars", true), chromedp.WindowSize(1200, 800))
	ctx, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, endTime := context.WithTimeout(ctx, 5*time.Minute)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		chromedp.Cancel(ctx) // waits for the browser, so that its profile can be removed
		end()
		endTime()
		endAllocator()
	})
	if err := chromedp.Do(ctx); err != nil { // the browser lives as long as the context it is started in
		t.Fatal(err)
	}
	return &window{T: t, scene: s, ctx: ctx}
}

func (w *window) do(steps ...chromedp.Action[chromedp.Void]) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		where, _ := chromedp.Run(w.ctx, chromedp.Location())
		text, _ := chromedp.Run(w.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		w.Fatalf("%v, at %s:\n%s", err, where, text)
	}
}

// open goes to one of the gateway's pages.
func (w *window) open(path string) {
	w.Helper()
	w.do(chromedp.Navigate(w.scene.url + path))
}

// text is what the page says.
func (w *window) text() string {
	w.Helper()
	text, err := chromedp.Run(w.ctx, chromedp.Evaluate[string]("document.body.innerText"))
	if err != nil {
		w.Fatal(err)
	}
	return text
}

// path is where the browser is.
func (w *window) path() string {
	w.Helper()
	at, err := chromedp.Run(w.ctx, chromedp.Location())
	if err != nil {
		w.Fatal(err)
	}
	return strings.TrimPrefix(at, w.scene.url)
}

func (w *window) says(words ...string) {
	w.Helper()
	text := w.text()
	for _, word := range words {
		if !strings.Contains(text, word) {
			w.Errorf("the page at %s does not say %q:\n%s", w.path(), word, text)
		}
	}
}

// press clicks the button or link with a text and waits for the next page.
func (w *window) press(label string) {
	w.Helper()
	const find = `(() => {
		const all = [...document.querySelectorAll('main button, main a'), ...document.querySelectorAll('header button')];
		const found = all.find(e => e.innerText.trim() === LABEL);
		if (!found) throw new Error('there is no ' + LABEL);
		found.setAttribute('data-press', '1');
		return true;
	})()`
	if _, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool](strings.ReplaceAll(find, "LABEL", quote(label)))); err != nil {
		w.Fatalf("%v\n%s", err, w.text())
	}
	w.do(chromedp.Click(chromedp.CSS("[data-press]")), chromedp.WaitNotPresent(chromedp.CSS("[data-press]")), chromedp.WaitReady(chromedp.CSS("body")))
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "\\'") + "'" }

// signIn goes from a page that needs it through the provider and back.
func (w *window) signIn(user string) {
	w.Helper()
	w.user = user
	w.open("/auth/")
	w.password()
	if w.path() != "/auth/" {
		w.Fatalf("sign-in ends at %s\n%s", w.path(), w.text())
	}
}

// password fills in the form of the provider.
func (w *window) password() {
	w.Helper()
	w.do(
		chromedp.WaitVisible(chromedp.CSS("#username")),
		chromedp.SendKeys(chromedp.CSS("#username"), w.user),
		chromedp.SendKeys(chromedp.CSS("#password"), w.user+"-pw"),
		chromedp.Click(chromedp.CSS("#signin")),
		chromedp.WaitVisible(chromedp.CSS("main h1")),
	)
}

// confirm signs in again, to where the browser is already on its way, and
// presses the button of the last page.
func (w *window) confirm(button string) {
	w.Helper()
	w.password()
	w.press(button)
}

// look makes the window one of a desk or a telephone, in the light or dark.
func (w *window) look(phone, dark bool) {
	w.Helper()
	scheme, width, height := "light", int64(1100), int64(720)
	if dark {
		scheme = "dark"
	}
	if phone {
		width, height = 390, 780
	}
	w.do(chromedp.EmulateViewport(width, height), func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return chromedp.Void{}, err
	})
}
