package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Report counts how rows went.
type Report struct {
	Passed, Failed, Unsupported int

	reasons map[string][]string // why unsupported → row ids
}

// PlayAll plays all rows and prints one line per failing row, what is
// unsupported and why, and a closing count.
func (r *Runner) PlayAll(ctx context.Context, rows []Row, out io.Writer) *Report {
	report := &Report{reasons: map[string][]string{}}
	r.rows = map[string]Row{}
	for _, row := range rows {
		r.rows[row.ID] = row
	}
	for _, row := range rows {
		wrong, err := r.Play(ctx, row)
		switch {
		case errors.Is(err, ErrUnsupported):
			report.Unsupported++
			report.reasons[err.Error()] = append(report.reasons[err.Error()], row.ID)
		case err != nil:
			wrong = append(wrong, err.Error())
			fallthrough
		case len(wrong) > 0:
			report.Failed++
			fmt.Fprintf(out, "FAIL %s (%s): %s\n", row.ID, row.Group, oneLine(strings.Join(wrong, "; ")))
		default:
			report.Passed++
		}
	}
	report.print(out)
	return report
}

func (p *Report) print(out io.Writer) {
	lines := make([]string, 0, len(p.reasons))
	for reason, ids := range p.reasons {
		lines = append(lines, fmt.Sprintf("%s (%d): %s\n", oneLine(reason), len(ids), strings.Join(ids, " ")))
	}
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Fprint(out, line)
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d unsupported\n", p.Passed, p.Failed, p.Unsupported)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
