package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// progress is a bar on a terminal.
type progress struct {
	w           io.Writer // nil: nowhere
	what        string
	done, total int
}

// newProgress draws a bar, if there is a terminal to draw it on.
func (c *call) newProgress(what string, total int) *progress {
	p := &progress{what: what, total: total}
	if w := c.cmd.ErrOrStderr(); !c.quiet && isTerminal(w) {
		p.w = w
	}
	p.draw()
	return p
}

func (p *progress) step() {
	p.done++
	p.draw()
}

const barWidth = 40

func (p *progress) draw() {
	if p.w == nil {
		return
	}
	full := barWidth * p.done / max(p.total, 1)
	fmt.Fprintf(p.w, "\r%s [%s%s] %3d %%", p.what, strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), 100*p.done/max(p.total, 1))
}

// end takes the bar away.
func (p *progress) end() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// isTerminal reports whether somebody looks at what is written.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
