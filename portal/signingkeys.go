package portal

import "github.com/caddy-registry-auth/caddy-registry-auth/management"

// signingKeys shows the keys that registry tokens are signed with.
func (x *exchange) signingKeys() error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	list, err := m.SigningKeys(who)
	if err != nil {
		return err
	}
	t := &table{Caption: txtKeysCaption, Columns: []string{txtKey, txtUseFrom, txtAccepted, txtState}, Empty: txtNone}
	for _, k := range list.Items {
		state := cell{Text: txtKeyAccepted, Badge: "plain"}
		switch {
		case k.Signs:
			state = cell{Text: txtKeySigns, Badge: "good"}
		case k.UseFrom.After(x.portal.options.Now()):
			state = cell{Text: txtKeyNext, Badge: "warn"}
		}
		until := cell{Text: txtNever}
		if k.AcceptedUntil != nil {
			until = cell{Time: *k.AcceptedUntil}
		}
		t.Rows = append(t.Rows, []cell{{Text: k.ID, Code: true, Sub: k.Algorithm}, {Time: k.UseFrom}, until, state})
	}
	return x.show(view{Title: txtKeys, Lead: txtKeysLead, Notice: x.notice(), Blocks: []block{
		{Heading: txtKeysAll, Table: t},
		{Heading: txtKeysRotate, Text: txtKeysRotateNote, Form: &form{Action: x.path("signing-keys/rotate"), Submit: txtKeysRotate}},
		{Heading: txtKeysRevoke, Text: txtKeysRevokeNote, Form: &form{Action: x.path("signing-keys/revoke"), Submit: txtKeysRevoke, Danger: true}},
	}})
}

// rotateKeys makes a new key; existing tokens remain valid.
func (x *exchange) rotateKeys() error {
	return x.changeKeys(txtKeysRotateNote, txtKeysRotate, func(m *management.Manager, who *management.Caller) error {
		_, err := m.RotateSigningKeys(x.r.Context(), who)
		return err
	})
}

// revokeKeys makes a new key and ends all existing tokens.
func (x *exchange) revokeKeys() error {
	return x.changeKeys(txtKeysRevokeNote, txtKeysRevoke, func(m *management.Manager, who *management.Caller) error {
		_, err := m.RevokeSigningKeys(x.r.Context(), who)
		return err
	})
}

func (x *exchange) changeKeys(question, button string, change func(*management.Manager, *management.Caller) error) error {
	if !x.confirmed() {
		return x.ask(question, button, "signing-keys")
	}
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	if err := change(m, who); err != nil {
		return err
	}
	return x.goTo("signing-keys?done=saved")
}
