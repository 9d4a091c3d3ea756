package portal

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// auditLog shows what was administered, the newest first.
func (x *exchange) auditLog() error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	q := management.AuditQuery{PageQuery: x.cursor(), Actor: x.query("actor"), Action: x.query("action"), Object: x.query("q")}
	problem := ""
	for name, to := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		if text := x.query(name); text != "" {
			day, err := time.Parse("2006-01-02", text)
			if err != nil {
				problem = txtBadDate
				continue
			}
			if *to = day; name == "until" {
				*to = day.Add(24 * time.Hour)
			}
		}
	}
	page, err := m.Audit(x.r.Context(), who, q)
	if err != nil {
		return err
	}
	t := &table{
		Caption: txtAuditCaption, Columns: []string{txtTime, txtActor, txtAction, txtObject, txtChange}, Empty: txtNoEvents, Next: x.next(page.Next),
		Search: &search{Action: x.path("audit"), Label: txtObject, Value: x.query("q"), Fields: []field{
			{Name: "actor", Label: txtActor, Value: q.Actor},
			{Name: "action", Label: txtAction, Value: q.Action},
			{Name: "since", Label: txtSinceDay, Kind: "date", Value: x.query("since")},
			{Name: "until", Label: txtUntilDay, Kind: "date", Value: x.query("until")},
		}},
	}
	for _, e := range page.Items {
		name := e.Object.Name
		if name == "" {
			name = e.Object.ID
		}
		actor := e.Actor.Kind
		if e.Actor.Name != "" {
			actor += ":" + e.Actor.Name
		}
		t.Rows = append(t.Rows, []cell{
			{Time: e.Time}, {Text: actor, Sub: e.Actor.Remote}, {Text: e.Action, Code: true}, {Text: name, Sub: e.Object.Kind}, {Text: changeText(e.Before, e.After)},
		})
	}
	return x.show(view{Title: txtAudit, Lead: txtAuditLead, Problem: problem, Blocks: []block{{Heading: txtAuditAll, Table: t}}})
}

// changeText says which fields an event changed.
func changeText(before, after json.RawMessage) string {
	var was, is map[string]json.RawMessage
	_ = json.Unmarshal(before, &was) // nothing, or not an object: no fields
	_ = json.Unmarshal(after, &is)
	if was == nil || is == nil {
		return ""
	}
	var changed []string
	for name, value := range is {
		if !bytes.Equal(value, was[name]) {
			changed = append(changed, name)
		}
	}
	for name := range was {
		if _, kept := is[name]; !kept {
			changed = append(changed, name)
		}
	}
	if len(changed) == 0 {
		return ""
	}
	return sprintf(txtChanged, orNone(changed))
}
