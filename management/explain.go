package management

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// ExplainQuery is who wants to do what.
type ExplainQuery struct {
	// Principal is "user:alice", "robot:ci", "workload:github" or "anonymous".
	Principal string
	// Groups and Roles describe a user; without them, those that the user was
	// seen with last.
	Groups, Roles []string
	Claims        map[string]any
	Action        string
	Repository    string
	Tag           string
	Remote        string
}

// Explanation is a decision, why, and what would change it.
type Explanation struct {
	Principal string          `json:"principal"`
	Asked     string          `json:"asked" doc:"push on team-a/app:v1"`
	Allowed   bool            `json:"allowed"`
	Reason    string          `json:"reason" doc:"The rule that decides, or that none does."`
	LockedOut string          `json:"locked_out,omitempty" doc:"Why the principal cannot come in at all, whatever the rules say."`
	Rules     []ExplainedRule `json:"rules" doc:"The rules that concern both, in their order."`
	Would     []string        `json:"would" doc:"What would allow it, for those who manage the repository."`
}

// ExplainedRule is what became of a rule.
type ExplainedRule struct {
	Rule    string `json:"rule"`
	Source  string `json:"source,omitempty" doc:"Where it is written or stored."`
	Applies bool   `json:"applies"`
	Why     string `json:"why,omitempty"`
}

// Explain says whether somebody may do something, and why. Administrators may
// ask about all, others about repositories that they manage, and about
// themselves: of rules elsewhere they learn only what is about them.
func (m *Manager) Explain(who *Caller, q ExplainQuery) (*Explanation, error) {
	if err := needs(who, ScopePolicyExplain); err != nil {
		return nil, err
	}
	ask, err := m.asked(who, q.Action, q.Repository)
	if err != nil {
		return nil, err
	}
	ask.Tag = q.Tag
	if q.Remote != "" {
		if ask.Remote, err = netip.ParseAddr(q.Remote); err != nil {
			return nil, invalid("remote", "want an address")
		}
	}
	p, err := m.described(q)
	if err != nil {
		return nil, err
	}
	themselves := who.Principal != nil && who.Principal.Identity() == p.Identity() && q.Groups == nil && q.Roles == nil && q.Claims == nil
	explain := m.policy().Explain
	switch {
	case m.manages(who, []string{q.Repository}):
	case themselves:
		explain = m.policy().ExplainOwn
	default:
		return nil, fail(CodeForbidden, "you may ask about yourself, and about repositories that you manage")
	}
	x := explain(p, ask)
	out := &Explanation{
		Principal: x.Principal, Asked: x.Asked, Allowed: x.Allowed, Reason: x.Reason(), Rules: []ExplainedRule{}, Would: append([]string{}, x.Would...),
	}
	for _, r := range x.Rules {
		out.Rules = append(out.Rules, ExplainedRule{Rule: r.Rule.String(), Source: r.Rule.Source, Applies: r.Applies, Why: r.Why})
	}
	if err := m.lockedOut(p); err != nil {
		out.Allowed, out.LockedOut = false, err.Error()
	}
	return out, nil
}

// asked reads what is to be done.
func (m *Manager) asked(who *Caller, action, repository string) (*authz.Query, error) {
	var wrong problems
	a, err := authz.ParseAction(action)
	wrong.check("action", err)
	if !authz.ValidName(repository) {
		wrong.add("repository", "want the name of a repository")
	}
	ask := m.query(who)
	ask.Action, ask.Repository = a, repository
	return ask, wrong.err()
}

// described makes the principal that is asked about.
func (m *Manager) described(q ExplainQuery) (*authn.Principal, error) {
	if q.Principal == "" || q.Principal == "anonymous" {
		return authn.Anonymous, nil
	}
	kind, name, _ := strings.Cut(q.Principal, ":")
	p := &authn.Principal{Kind: authn.Kind(kind), Name: name, Groups: q.Groups, Roles: q.Roles, Claims: q.Claims}
	switch p.Kind {
	case authn.KindUser:
		if seen := m.usersNamed(name); len(seen) == 1 && q.Groups == nil && q.Roles == nil && q.Claims == nil {
			return seen[0].Value.Principal(), nil
		}
	case authn.KindRobot, authn.KindWorkload:
	default:
		name = ""
	}
	if name == "" {
		return nil, invalid("principal", "want user:<name>, robot:<name>, workload:<name> or anonymous")
	}
	return p, nil
}

// lockedOut says why a principal cannot come in at all.
func (m *Manager) lockedOut(p *authn.Principal) error {
	if p.Kind == authn.KindRobot && m.takenBy(p.Name) == "" {
		item, ok := m.state.Robots.Get(p.Name)
		switch {
		case !ok:
			return noRobot(p.Name)
		case item.Value.Disabled:
			return fail(CodeForbidden, "robot %s is disabled", p.Name)
		case !item.Value.Expires.IsZero() && !m.now().Before(item.Value.Expires):
			return fail(CodeForbidden, "robot %s has expired", p.Name)
		}
	}
	return m.state.Check(p)
}

// Holder is somebody who may do something, or whom a rule keeps from it.
type Holder struct {
	Subject     string `json:"subject" doc:"As rules spell it: group:dev."`
	Rule        string `json:"rule"`
	Source      string `json:"source,omitempty"`
	Denied      bool   `json:"denied" doc:"The rule takes the action, whatever others give."`
	Conditional bool   `json:"conditional" doc:"It depends on the request."`
}

// Holders are all of them.
type Holders struct {
	Items []Holder `json:"items"`
}

// WhoCan lists who may do something to a repository: by rules, and stored
// robots by what was given to them.
func (m *Manager) WhoCan(who *Caller, action, repository string) (*Holders, error) {
	if err := needs(who, ScopePolicyExplain); err != nil {
		return nil, err
	}
	ask, err := m.asked(who, action, repository)
	if err != nil {
		return nil, err
	}
	if !m.manages(who, []string{repository}) {
		return nil, fail(CodeForbidden, "you may ask about repositories that you manage")
	}
	out := &Holders{Items: []Holder{}}
	policy := m.policy()
	for _, h := range policy.WhoCan(ask.Action, repository) {
		out.Items = append(out.Items, Holder{Subject: h.Subject, Rule: h.Rule.String(), Source: h.Rule.Source, Denied: h.Denied, Conditional: h.Conditional})
	}
	for _, item := range m.state.Robots.Sorted() {
		p := &authn.Principal{Kind: authn.KindRobot, Name: item.ID}
		if d := policy.Decide(p, ask); d.Allowed && d.Rule != nil && d.Rule.Kind == authz.RulePermission && m.lockedOut(p) == nil {
			out.Items = append(out.Items, Holder{Subject: p.String(), Rule: d.Rule.String(), Source: "stored robot " + item.ID, Conditional: len(item.Value.From) > 0})
		}
	}
	return out, nil
}

// explainRoutes are about what the rules say.
func (a *API) explainRoutes() []route {
	m := a.manager
	text := func(name, doc string, most int) queryParameter {
		return queryParameter{name, doc, schema{"type": "string", "maxLength": most}}
	}
	what := []queryParameter{
		{"action", "What: pull, push, delete, overwrite, list or manage.", schema{"type": "string", "enum": []string{"pull", "push", "delete", "overwrite", "list", "manage", "*"}}},
		text("repository", "Where.", 255),
	}
	return []route{
		{
			method: http.MethodGet, path: "/explain", id: "explain", group: "policy", scope: ScopePolicyExplain,
			summary: "Whether somebody may do something, why, and what would change it.",
			query: append(what,
				text("principal", "Who: user:alice, robot:ci, workload:github or anonymous.", 512),
				text("groups", "Groups, with commas between them; without them those that the user was seen with last.", 1024),
				text("roles", "Roles, likewise.", 1024),
				text("claims", "Claims, as a JSON object.", 1024),
				text("tag", "The tag.", 128),
				text("remote", "The client's address. Default: yours.", 64),
			),
			status: http.StatusOK, result: of[Explanation](), fails: []Code{CodeForbidden},
			serve: func(c *call) (*answer, error) {
				q := c.request.URL.Query()
				ask := ExplainQuery{
					Principal: q.Get("principal"), Groups: words(q.Get("groups")), Roles: words(q.Get("roles")),
					Action: q.Get("action"), Repository: q.Get("repository"), Tag: q.Get("tag"), Remote: q.Get("remote"),
				}
				if claims := q.Get("claims"); claims != "" {
					if err := json.Unmarshal([]byte(claims), &ask.Claims); err != nil {
						return nil, invalid("claims", "want a JSON object")
					}
				}
				x, err := m.Explain(c.who, ask)
				return &answer{value: x}, err
			},
		},
		{
			method: http.MethodGet, path: "/who-can", id: "whoCan", group: "policy", scope: ScopePolicyExplain,
			summary: "Who may do something to a repository.", query: what, status: http.StatusOK, result: of[Holders](), fails: []Code{CodeForbidden},
			serve: func(c *call) (*answer, error) {
				q := c.request.URL.Query()
				x, err := m.WhoCan(c.who, q.Get("action"), q.Get("repository"))
				return &answer{value: x}, err
			},
		},
	}
}

func words(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}
