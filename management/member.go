package management

import (
	"slices"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// Member is somebody with rights in a project.
type Member struct {
	Subject string `json:"subject" doc:"Who: user:alice, group:dev, robot:ci, workload:github, authenticated, anyone …" min:"1" max:"512"`
	MemberInput
}

// MemberInput is what is said of a member.
type MemberInput struct {
	Role     string     `json:"role,omitempty" doc:"The role. Either this or actions." max:"128"`
	Actions  []string   `json:"actions,omitempty" doc:"The actions." max:"7" enum:"pull,push,delete,overwrite,list,manage,*"`
	Tags     []string   `json:"tags,omitempty" doc:"Restricts push, overwrite and delete to these tags." max:"100"`
	From     []string   `json:"from,omitempty" doc:"The networks that it holds for." max:"100"`
	NotAfter *time.Time `json:"not_after,omitempty" doc:"When it ends, to the second."`
	When     string     `json:"when,omitempty" doc:"A CEL expression that must be true." max:"4096"`
}

// maxMembers is how many a project may have.
const maxMembers = 500

// grantOf is a member as rules have it.
func grantOf(m Member) authz.Grant {
	g := authz.Grant{
		Role: m.Role, Actions: m.Actions, Subjects: []string{m.Subject}, Tags: m.Tags,
		Conditions: authz.Conditions{When: m.When, From: m.From},
	}
	if m.NotAfter != nil {
		g.Until = m.NotAfter.UTC().Truncate(time.Second).Format(time.RFC3339)
	}
	return g
}

// membersOf are those whom grants give something.
func membersOf(grants []authz.Grant) []Member {
	out := []Member{}
	for _, g := range grants {
		if g.Shadow {
			continue
		}
		in := MemberInput{Role: g.Role, Actions: g.Actions, Tags: g.Tags, From: g.From, When: g.When}
		if until, err := time.Parse(time.RFC3339, g.Until); err == nil {
			in.NotAfter = &until
		}
		for _, s := range g.Subjects {
			out = append(out, Member{Subject: s, MemberInput: in})
		}
	}
	return out
}

// checkMembers checks members and that the caller, who manages the patterns,
// gives nothing that it does not hold itself.
func (m *Manager) checkMembers(who *Caller, patterns []string, members []Member, wrong *problems) []authz.Grant {
	var grants []authz.Grant
	for i, member := range members {
		field := at("members", i)
		g := grantOf(member)
		actions, err := m.tryGrant(g)
		if err != nil {
			wrong.check(field, err)
			continue
		}
		if slices.ContainsFunc(members[:i], func(other Member) bool { return other.Subject == member.Subject }) {
			wrong.add(field, "%s is a member twice", member.Subject)
		}
		m.mayAppoint(who, field, member.Subject, false, member.From, timeIn(member.NotAfter), wrong)
		for _, p := range patterns {
			m.mayGive(who, field, []authn.Limit{{Type: authz.TypeRepository, Name: p, Actions: actions.Names()}}, wrong)
		}
		grants = append(grants, g)
	}
	return grants
}
