package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// auditFlags say which events.
type auditFlags struct {
	actor, action, object, since, until string
	limit                               int
}

func auditCommand(t *tool) *cobra.Command {
	var f auditFlags
	cmd := t.command("audit", "Lists what was changed, the newest first", func(c *call) error { return f.run(c) })
	cmd.Long = `
Lists who changed what. With --json, a line for each event, with what was
before and after; all of them unless --limit says how many.

	caddy registry-auth audit --action robot. --since 7d
	caddy registry-auth audit --json > audit.jsonl`
	cmd.Flags().StringVar(&f.actor, "actor", "", "Only what somebody did: user:alice, or alice")
	cmd.Flags().StringVar(&f.action, "action", "", "Only this action; with a dot at the end, such as robot., all that begin so")
	cmd.Flags().StringVar(&f.object, "object", "", "Only what was done to this id or name")
	cmd.Flags().StringVar(&f.since, "since", "", "Only from this time on: a date, a time, or how long ago, such as 24h")
	cmd.Flags().StringVar(&f.until, "until", "", "Only before this time, likewise")
	cmd.Flags().IntVar(&f.limit, "limit", 0, "How many at most, 0 for all (default: 100 in a table)")
	return cmd
}

func (f *auditFlags) run(c *call) error {
	q := url.Values{}
	var err error
	if f.since, err = c.parsePast("since", f.since); err != nil {
		return err
	}
	if f.until, err = c.parsePast("until", f.until); err != nil {
		return err
	}
	for name, value := range map[string]string{"actor": f.actor, "action": f.action, "object": f.object, "since": f.since, "until": f.until} {
		set(q, name, value)
	}
	switch {
	case f.limit < 0:
		return fmt.Errorf("--limit %d: want a number of events", f.limit)
	case c.json && f.limit == 0:
		return c.exportAudit(q)
	case f.limit == 0 && !c.cmd.Flags().Changed("limit"):
		f.limit = 100
	}
	if f.limit > 0 {
		q.Set("limit", strconv.Itoa(min(f.limit, 1000)))
	}
	list, err := client.Collect[management.AuditEvent](c.ctx, c.Client, client.Path("audit"), q, f.limit)
	if err != nil {
		return err
	}
	if c.json {
		for _, e := range list {
			line, err := json.Marshal(e)
			if err != nil {
				return err
			}
			if _, err := c.out().Write(append(terminal.JSON(line), '\n')); err != nil {
				return err
			}
		}
		return nil
	}
	return printList(c, "events", list,
		column[management.AuditEvent]{"time", func(e management.AuditEvent) string { return instant(&e.Time) }},
		column[management.AuditEvent]{"who", func(e management.AuditEvent) string { return actorText(e.Actor) }},
		column[management.AuditEvent]{"did", func(e management.AuditEvent) string { return e.Action }},
		column[management.AuditEvent]{"to", func(e management.AuditEvent) string { return objectText(e.Object) }},
		column[management.AuditEvent]{"from", func(e management.AuditEvent) string { return e.Actor.Remote }})
}

// exportAudit copies all events as they come.
func (c *call) exportAudit(q url.Values) error {
	body, err := c.Stream(c.ctx, client.Path("audit", "export"), q)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewReader(body)
	for {
		line, err := lines.ReadBytes('\n')
		if _, writing := c.out().Write(terminal.JSON(line)); writing != nil {
			return writing
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("the export broke off: %w", err)
		}
	}
}

func actorText(a management.AuditActor) string {
	if a.Name == "" {
		return a.Kind
	}
	return a.Kind + ":" + a.Name
}

func objectText(o management.AuditObject) string {
	if o.Name != "" && o.Name != o.ID {
		return o.Kind + " " + o.Name + " (" + o.ID + ")"
	}
	return o.Kind + " " + o.ID
}
