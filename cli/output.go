package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
)

// out is where answers go.
func (c *call) out() io.Writer { return c.cmd.OutOrStdout() }

// done says what was done, for people.
func (c *call) done(format string, args ...any) error {
	if c.quiet || c.json {
		return nil
	}
	_, err := fmt.Fprintln(c.out(), terminal.Text(fmt.Sprintf(format, args...)))
	return err
}

// note says something beside the answer.
func (c *call) note(format string, args ...any) {
	if !c.quiet {
		fmt.Fprintln(c.cmd.ErrOrStderr(), terminal.Text(fmt.Sprintf(format, args...)))
	}
}

// printJSON prints a value, indented.
func (c *call) printJSON(v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := c.out().Write(terminal.JSON(b.Bytes()))
	return err
}

// printMade prints a secret: alone if that is asked for, else after what it
// belongs to.
func (c *call) printMade(v any, secret string, fields ...field) error {
	switch {
	case c.json:
		return c.printJSON(v)
	case c.quiet:
		if secret == "" {
			return nil
		}
		_, err := fmt.Fprintln(c.out(), terminal.Line(secret))
		return err
	}
	if err := c.printFields(fields); err != nil || secret == "" {
		return err
	}
	_, err := fmt.Fprintf(c.out(), "\n%s\n", terminal.Line(secret))
	c.note("This is the only time that it is shown.")
	return err
}

// field is a line of what is shown of one thing.
type field struct{ name, value string }

// printFields prints those that have a value.
func (c *call) printFields(fields []field) error {
	w := tabwriter.NewWriter(c.out(), 0, 0, 2, ' ', 0)
	for _, f := range fields {
		for i, line := range strings.Split(strings.TrimRight(f.value, "\n"), "\n") {
			switch {
			case line == "" && i == 0:
			case i == 0:
				fmt.Fprintf(w, "%s:\t%s\n", f.name, terminal.Text(line))
			default:
				fmt.Fprintf(w, "\t%s\n", terminal.Text(line))
			}
		}
	}
	return w.Flush()
}

// show prints one thing.
func (c *call) show(v any, fields ...field) error {
	switch {
	case c.json:
		return c.printJSON(v)
	case c.quiet:
		return nil
	}
	return c.printFields(fields)
}

// column is a column of a table.
type column[T any] struct {
	name  string
	value func(T) string
}

// printList prints a list as a table.
func printList[T any](c *call, what string, list []T, columns ...column[T]) error {
	if c.json {
		return c.printJSON(list)
	}
	if len(list) == 0 {
		c.note("There are no %s.", what)
		return nil
	}
	w := tabwriter.NewWriter(c.out(), 0, 0, 2, ' ', 0)
	line := make([]string, len(columns))
	for i, col := range columns {
		line[i] = strings.ToUpper(col.name)
	}
	fmt.Fprintln(w, strings.Join(line, "\t"))
	for _, item := range list {
		for i, col := range columns {
			if line[i] = terminal.Line(col.value(item)); line[i] == "" {
				line[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.Join(line, "\t"))
	}
	return w.Flush()
}

func instant(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Truncate(time.Second).Format(time.RFC3339)
}

func yes(b bool, word string) string {
	if b {
		return word
	}
	return ""
}

func words(list []string) string { return strings.Join(list, ", ") }

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
