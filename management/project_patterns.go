package management

import (
	"iter"
	"slices"
	"strings"
)

// projects returns the names and patterns of the projects that are declared or
// stored, sorted by name.
func (m *Manager) projects() iter.Seq2[string, []string] {
	type named struct {
		name     string
		patterns []string
	}
	var list []named
	for _, p := range m.declared.Projects {
		list = append(list, named{declaredName(p), p.Patterns})
	}
	for item := range m.state.Projects.All() {
		list = append(list, named{item.ID, item.Value.Patterns})
	}
	slices.SortFunc(list, func(a, b named) int { return strings.Compare(a.name, b.name) })
	return func(yield func(string, []string) bool) {
		for _, p := range list {
			if !yield(p.name, p.patterns) {
				return
			}
		}
	}
}

// declaredName is how a declared project is called.
func declaredName(p DeclaredProject) string {
	if p.Name != "" {
		return p.Name
	}
	return strings.Join(p.Patterns, " ")
}

// patternsOf returns what belongs to a project. One that nobody has described
// has all that is below its name.
func (m *Manager) patternsOf(project string) []string {
	for _, p := range m.declared.Projects {
		if declaredName(p) == project {
			return p.Patterns
		}
	}
	if patterns, ok := m.pending[project]; ok {
		return patterns
	}
	if item, ok := m.state.Projects.Get(project); ok {
		return item.Value.Patterns
	}
	return []string{project + "/**"}
}
