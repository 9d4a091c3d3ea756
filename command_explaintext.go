package registryauth

import (
	"bytes"
	"fmt"
	"text/tabwriter"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
)

// text is the answer for a terminal.
func (a *explained) text() []byte {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Decision:\t%s\n", a.headline())
	fmt.Fprintf(w, "Asked:\t%s %s by %s\n", a.Action, a.Target, a.Principal)
	if len(a.Cases) == 0 {
		fmt.Fprintf(w, "Reason:\t%s\n", a.Reason)
	}
	for _, c := range a.Cases {
		fmt.Fprintf(w, "If %s:\t%s: %s\n", c.If, decided(c.Decision), c.Reason)
	}
	if a.Shadow != "" {
		fmt.Fprintf(w, "Shadow:\t%s\n", a.Shadow)
	}
	for _, note := range a.Notes {
		fmt.Fprintf(w, "Note:\t%s\n", note)
	}
	w.Flush()
	fmt.Fprintln(&b, "\nRules that concern it:")
	if len(a.Rules) == 0 {
		fmt.Fprintln(&b, "  none")
	}
	for _, r := range a.Rules {
		applies := "no"
		if r.Applies {
			applies = "yes"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", applies, r.Source, r.Rule, r.Why)
	}
	w.Flush()
	if len(a.Would) > 0 {
		fmt.Fprintln(&b, "\nWhat would allow it:")
	}
	for _, way := range a.Would {
		fmt.Fprintf(&b, "  - %s\n", way)
	}
	return []byte(terminal.Text(b.String())) // names come from identity providers
}

func (a *explained) headline() string {
	if a.Decision == decisionDepends {
		say := map[authz.Ask]string{authz.AskAbsent: "--tag-exists or --tag-absent", authz.AskTags: "--tags"}
		return "depends on " + a.Depends + "; say it with " + say[a.ask]
	}
	return decided(a.Decision)
}

func decided(decision string) string {
	if decision == decisionAllow {
		return "allowed"
	}
	return "denied"
}
