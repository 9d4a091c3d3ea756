package browser

import (
	"bytes"
	"encoding/json"
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// violation is something that axe finds wrong.
type violation struct {
	ID    string `json:"id"`
	Help  string `json:"help"`
	Nodes []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// accessible lets axe look at the page.
func (w *window) accessible(program, name string) {
	w.Helper()
	loaded, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool]("'axe' in window"))
	if err != nil {
		w.Fatal(err)
	}
	if !loaded {
		w.do(chromedp.Evaluate[chromedp.Void](program))
	}
	found, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](
		`axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(r => JSON.stringify(r.violations))`, chromedp.EvalAwaitPromise))
	if err != nil {
		w.Fatal(err)
	}
	var violations []violation
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		w.Fatal(err)
	}
	for _, v := range violations {
		for _, n := range v.Nodes {
			w.Errorf("%s: %s (%s)\n%s\n%s", name, v.Help, v.ID, n.HTML, n.Summary)
		}
	}
}

// shoot keeps a picture of the whole page where SCREENSHOTS names a folder.
func (w *window) shoot(name string) {
	w.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	whole, err := chromedp.Run(w.ctx, chromedp.Evaluate[[]int64]("[innerWidth, Math.max(innerHeight, document.documentElement.scrollHeight)]"))
	if err != nil {
		w.Fatal(err)
	}
	w.do(chromedp.EmulateViewport(whole[0], whole[1]))
	shot, err := chromedp.Run(w.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), small(w.T, shot), 0o644); err != nil {
		w.Fatal(err)
	}
}

// small makes a picture small enough for a repository.
func small(t *testing.T, shot []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	few := image.NewPaletted(full.Bounds(), few(full))
	draw.Draw(few, full.Bounds(), full, full.Bounds().Min, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// overflows reports whether the page is wider than the window.
func (w *window) overflows() bool {
	w.Helper()
	over, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool]("document.documentElement.scrollWidth > innerWidth"))
	if err != nil {
		w.Fatal(err)
	}
	return over
}

// lookAt looks at pages one by one.
func (w *window) lookAt(program string, pages map[string]string) {
	w.Helper()
	for name, path := range pages {
		w.open(path)
		w.lookHere(program, name)
	}
}

// lookHere looks at the page that is shown, on a desk and a telephone, in the
// light and in the dark.
func (w *window) lookHere(program, name string) {
	w.Helper()
	for _, phone := range []bool{false, true} {
		for _, dark := range []bool{false, true} {
			w.look(phone, dark)
			parts := []string{name}
			if phone {
				parts = append(parts, "phone")
			}
			if dark {
				parts = append(parts, "dark")
			}
			full := strings.Join(parts, "-")
			w.shoot(full)
			w.accessible(program, full)
			if phone && w.overflows() {
				w.Errorf("%s is wider than a telephone", full)
			}
		}
	}
	w.look(false, false)
}
