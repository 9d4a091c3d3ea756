package demo

import (
	_ "embed"
	"io"
	"maps"
	"slices"
	"strings"
	"text/template"
)

//go:embed welcome.tmpl
var welcomeText string

var welcomeTemplate = template.Must(template.New("welcome").Funcs(template.FuncMap{
	"indented": func(s string) []string {
		var all []string
		for line := range strings.Lines(s) {
			all = append(all, strings.TrimRight("    "+line, " \n"))
		}
		return all
	},
	"logins": func() string {
		var all []string
		for _, name := range slices.Sorted(maps.Keys(people)) {
			all = append(all, name+" / "+people[name].Password)
		}
		return strings.Join(all, ", ")
	},
}).Parse(welcomeText))

// Print writes where everything is, the Caddyfile in use and the lines to
// paste.
func (d *Demo) Print(w io.Writer) error { return welcomeTemplate.Execute(w, d) }
