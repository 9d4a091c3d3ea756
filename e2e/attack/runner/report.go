package runner

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Report counts how rows went.
type Report struct{ Passed, Failed int }

// PlayAll plays all rows, in an order that needs few stages, and prints one
// line per failing row and a closing count.
func (r *Runner) PlayAll(ctx context.Context, rows []Row, out io.Writer) *Report {
	report := &Report{}
	r.rows = map[string]Row{}
	for _, row := range rows {
		r.rows[row.ID] = row
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b Row) int { return strings.Compare(a.rank(), b.rank()) })
	for _, row := range rows {
		wrong, err := r.Play(ctx, row)
		if err != nil {
			wrong = append(wrong, err.Error())
		}
		if len(wrong) == 0 {
			report.Passed++
			continue
		}
		report.Failed++
		fmt.Fprintf(out, "FAIL %s (%s): %s\n", row.ID, row.Group, oneLine(strings.Join(wrong, "; ")))
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", report.Passed, report.Failed)
	return report
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
