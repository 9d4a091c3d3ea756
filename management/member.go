package management

import (
	"context"
	"slices"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// Member is somebody with rights in a project.
type Member struct {
	Subject string `json:"subject" doc:"Who: user:alice, group:dev, robot:ci, workload:github, authenticated, anyone …" min:"1" max:"512"`
	MemberInput
}

// MemberInput is the request body for a member.
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

// PutMember gives somebody rights in a project, in place of those that the
// subject has there. Whoever manages the project may, as far as its own rights
// reach. It reports whether the member is new.
func (m *Manager) PutMember(ctx context.Context, who *Caller, project, subject string, in MemberInput, match Match) (made *Project, created bool, err error) {
	member := Member{Subject: subject, MemberInput: in}
	err = m.again(ctx, func() error {
		made, err = m.changeMembers(ctx, who, project, match, "project.member", func(p *state.Project, wrong *problems) error {
			checked := m.checkMembers(who, p.Patterns, []Member{member}, wrong)
			if len(checked) == 0 {
				return nil
			}
			kept, found := without(p.Members, subject)
			p.Members, created = append(kept, checked...), !found
			return nil
		})
		return err
	})
	return made, created, err
}

// SetMemberRole gives somebody a role in a project, as a member that is new or in
// place of the role or actions that the member has. What restricts a member,
// such as networks or an end, goes on.
func (m *Manager) SetMemberRole(ctx context.Context, who *Caller, project, subject, role string) error {
	return m.again(ctx, func() error {
		_, err := m.changeMembers(ctx, who, project, Match{}, "project.member", func(p *state.Project, wrong *problems) error {
			member := Member{Subject: subject}
			for _, before := range membersOf(p.Members) {
				if before.Subject == subject {
					member = before
				}
			}
			member.Role, member.Actions = role, nil
			checked := m.checkMembers(who, p.Patterns, []Member{member}, wrong)
			if len(checked) == 0 {
				return nil
			}
			kept, _ := without(p.Members, subject)
			p.Members = append(kept, checked...)
			return nil
		})
		return err
	})
}

// DeleteMember takes the rights of somebody in a project away.
func (m *Manager) DeleteMember(ctx context.Context, who *Caller, project, subject string, match Match) error {
	return m.again(ctx, func() error {
		_, err := m.changeMembers(ctx, who, project, match, "project.member", func(p *state.Project, _ *problems) error {
			kept, found := without(p.Members, subject)
			if !found {
				return fail(CodeNotFound, "%.128q is no member of project %s", subject, project)
			}
			p.Members = kept
			return nil
		})
		return err
	})
}

// changeMembers edits the members of a project that the caller manages.
func (m *Manager) changeMembers(ctx context.Context, who *Caller, name string, match Match, action string, edit func(*state.Project, *problems) error) (*Project, error) {
	if err := needs(who, ScopeProjectsWrite); err != nil {
		return nil, err
	}
	if _, err := m.project(who, name); err != nil {
		return nil, err
	}
	if err := m.undeclared(name); err != nil {
		return nil, err
	}
	item, ok := m.state.Projects.Get(name)
	if !ok {
		return nil, noProject(name)
	}
	next := *item.Value
	var wrong problems
	if err := edit(&next, &wrong); err != nil {
		return nil, err
	}
	if err := wrong.err(); err != nil {
		return nil, err
	}
	if n := len(membersOf(next.Members)); n > maxMembers && n > len(membersOf(item.Value.Members)) {
		return nil, fail(CodeConflict, "project %s would have %d members, and may have %d", name, n, maxMembers)
	}
	made, _, err := m.storedProjects().write(ctx, who, name, item, &next, match, action)
	return made, err
}

// without returns the grants without a subject.
func without(grants []authz.Grant, subject string) (kept []authz.Grant, found bool) {
	for _, g := range grants {
		if !slices.Contains(g.Subjects, subject) {
			kept = append(kept, g)
			continue
		}
		found = true
		if len(g.Subjects) > 1 {
			g.Subjects = slices.DeleteFunc(slices.Clone(g.Subjects), func(s string) bool { return s == subject })
			kept = append(kept, g)
		}
	}
	return kept, found
}
