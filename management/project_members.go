package management

import (
	"context"
	"slices"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// PutMember gives somebody rights in a project, in place of those that the
// subject has there. Whoever manages the project may, as far as its own rights
// reach. It reports whether the member is new.
func (m *Manager) PutMember(ctx context.Context, who *Caller, project, subject string, in MemberInput, match Match) (made *Project, created bool, err error) {
	member := Member{Subject: subject, MemberInput: in}
	err = again(ctx, func() error {
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
	return again(ctx, func() error {
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
	return again(ctx, func() error {
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
	made, _, err := m.putProject(ctx, who, item, &next, match, action)
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
