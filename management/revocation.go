package management

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// Revocation ends registry tokens that were issued earlier.
type Revocation struct {
	ID        string     `json:"id" doc:"token/<jti>, principal/<kind>:<name>, or all."`
	NotBefore time.Time  `json:"not_before" doc:"What was issued earlier is refused."`
	Until     *time.Time `json:"until,omitempty" doc:"From when there can be nothing that it is about."`
	Reason    string     `json:"reason,omitempty"`
	By        string     `json:"by,omitempty"`
}

// RevocationInput says what is to end. One of the three is given.
type RevocationInput struct {
	Token     string `json:"token,omitempty" doc:"The jti of one registry token, which the log has." max:"128"`
	Principal string `json:"principal,omitempty" doc:"All registry tokens of user:alice, robot:ci or workload:github." max:"500"`
	All       bool   `json:"all,omitempty" doc:"All registry tokens of everybody."`
	Reason    string `json:"reason,omitempty" doc:"Why, for people to read." max:"500"`
}

// keepRevocation is longer than any registry token lives.
const keepRevocation = 25 * time.Hour

// Revocations lists what is revoked and could still be shown.
func (m *Manager) Revocations(who *Caller, q PageQuery) (*Page[*Revocation], error) {
	if err := m.needsAdmin(who, ScopeRevocations); err != nil {
		return nil, err
	}
	return page(q, m.state.Revocations.All(), func(i *state.Item[state.Revocation]) string { return i.ID }, func(i *state.Item[state.Revocation]) *Revocation {
		return showRevocation(i.ID, i.Value)
	})
}

// Revoke ends registry tokens: on every gateway within a second. Whoever still
// may come in gets new ones.
func (m *Manager) Revoke(ctx context.Context, who *Caller, in RevocationInput) (*Revocation, error) {
	if err := m.needsAdmin(who, ScopeRevocations); err != nil {
		return nil, err
	}
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	var made *Revocation
	err = m.again(ctx, func() error {
		var tx state.Tx
		made = showRevocation(id, m.revoke(&tx, who, id, in.Reason))
		tx.Note(who.Actor(), "revocation.create", state.Object{Kind: "revocation", ID: id}, nil, made)
		if err := m.commit(ctx, who, &tx, nil); err != nil {
			return err
		}
		m.settle(ctx, &tx)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// settleWait is how long an answer waits at most until the store has told of the
// change.
const settleWait = time.Second

// settle waits until the store has told of a change which has ended what was
// issued before: tokens that are asked for after the answer are known to be newer.
func (m *Manager) settle(ctx context.Context, tx *state.Tx) {
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	_ = m.state.CaughtUp(ctx, tx.Revision()) // at worst a token of this moment has ended
}

func (in *RevocationInput) id() (string, error) {
	given := 0
	for _, yes := range []bool{in.Token != "", in.Principal != "", in.All} {
		if yes {
			given++
		}
	}
	switch {
	case given != 1:
		return "", &Error{Code: CodeInvalid, Detail: "want one of token, principal and all"}
	case in.Token != "":
		return state.RevokeToken(in.Token), nil
	case in.All:
		return state.RevokeAll, nil
	}
	kind, name, _ := strings.Cut(in.Principal, ":")
	if kind != "user" && kind != "robot" && kind != "workload" || name == "" {
		return "", invalid("principal", "want user:<name>, robot:<name> or workload:<name>")
	}
	return state.RevokePrincipal(in.Principal), nil
}

// revoke adds a revocation of everything until now. Where there is one that
// reaches further, as of a gateway whose clock is ahead, it goes on.
func (m *Manager) revoke(tx *state.Tx, who *Caller, id, reason string) *state.Revocation {
	now := m.now().UTC()
	before, known := m.state.Revocations.Get(id)
	if known {
		now = later(now, before.Value.NotBefore)
	} else {
		before = nil
	}
	v := &state.Revocation{NotBefore: now, Until: now.Add(keepRevocation).Truncate(time.Second), Reason: reason, By: who.actor.String()}
	_, condition := expect(before)
	state.Put(tx, m.state.Revocations, id, v, condition)
	return v
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func showRevocation(id string, v *state.Revocation) *Revocation {
	return &Revocation{ID: id, NotBefore: v.NotBefore, Until: timeOf(v.Until), Reason: v.Reason, By: v.By}
}

// revocationRoutes are about registry tokens that are to end early.
func (a *API) revocationRoutes() []route {
	m := a.manager
	x := collection[Revocation]{path: "/revocations", group: "revocations", read: ScopeRevocations}
	return []route{
		x.list("listRevocations", "What is revoked and could still be shown. For administrators.", m.Revocations, CodeForbidden),
		{
			method: http.MethodPost, path: "/revocations", id: "revoke", group: "revocations", scope: ScopeRevocations,
			summary: "Ends registry tokens that were issued: one, those of a principal, or all.",
			body:    of[RevocationInput](), status: http.StatusCreated, result: of[Revocation](), fails: []Code{CodeForbidden, CodeConflict},
			serve: func(c *call) (*answer, error) {
				v, err := m.Revoke(c.request.Context(), c.who, input[RevocationInput](c))
				return &answer{value: v}, err
			},
		},
	}
}
