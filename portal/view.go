package portal

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// view is a page: a title and blocks, each with one of its parts.
type view struct {
	Title string
	Lead  string
	// Notice is what was just done, Problem what is wrong with what was given.
	Notice, Problem string
	Blocks          []block
	status          int
}

// block is a section of a page.
type block struct {
	Heading, Text string
	Facts         []fact
	Snippets      []snippet
	Table         *table
	Form          *form
	Links         []link
}

// fact is a name with a value.
type fact struct {
	Name  string
	Value cell
}

// snippet is text to copy.
type snippet struct{ Label, Text string }

// link leads to another page. Outside: of another host.
type link struct {
	Text, Href string
	Primary    bool
	Outside    bool
	Current    bool
}

// table is a list, with a search field and a way to the next page if it is
// long.
type table struct {
	Caption string
	Columns []string
	Rows    [][]cell
	Empty   string // what is said if there are no rows
	Search  *search
	Next    string // address of the next page
}

// search is a field that narrows a list, with further ones beside it.
type search struct {
	Action, Label, Value string
	Submit               string // what the button says; empty: search
	Fields               []field
}

// cell is what stands in a table: text, time, link, badge or buttons.
type cell struct {
	Text    string
	Sub     string // smaller, below
	Code    bool
	Href    string
	Time    time.Time
	Badge   string // "good", "warn", "bad", "plain"
	Buttons []button
}

// button is a form of its own, with nothing to fill in.
type button struct {
	Text, Action string
	Hidden       []field
	Label        string // for who cannot see the row
	Danger       bool
}

// form is a form with fields.
type form struct {
	Action, Submit string
	Fields         []field
	Danger         bool
	Cancel         string // where "cancel" leads
	Other          *other // a second button
}

// other is a button that sends a form somewhere else.
type other struct {
	Text, Action string
	Danger       bool
}

// field is one of a form.
type field struct {
	Name, Label, Help, Value string
	Kind                     string // text, number, area, choice, checks, check, hidden
	Required, Wide           bool
	Options                  []option
	Wrong                    string
}

// option is a value to choose.
type option struct {
	Value, Text string
	Chosen      bool
}

//go:embed templates
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"stamp": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") },
	"args": func(n int, part any, csrf string) map[string]any {
		return map[string]any{"N": n, "Block": part, "CSRF": csrf}
	},
	"word": func(name string) string { return words[name] },
	"iso":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
}).ParseFS(templateFiles, "templates/*.html"))

// frame is what stands around a page.
type frame struct {
	view
	Product, Skip, User, CSRF, Prefix string
	SignOut, NavLabel, AdminLabel     string
	Nav, Admin                        []link
}

// show answers with a page.
func (x *exchange) show(v view) error {
	f := frame{view: v, Product: txtProduct, Skip: txtSkip, Prefix: x.portal.prefix, SignOut: txtSignOut, NavLabel: txtNavigation, AdminLabel: txtNavigationAdmin}
	if x.session != nil {
		f.User, f.CSRF = x.session.Principal.Name, x.session.csrfToken()
		f.Nav, f.Admin = x.navigation()
	}
	var page bytes.Buffer
	if err := templates.ExecuteTemplate(&page, "page.html", f); err != nil {
		return err
	}
	x.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if v.status != 0 {
		x.w.WriteHeader(v.status)
	}
	if x.r.Method != http.MethodHead {
		_, _ = page.WriteTo(x.w)
	}
	return nil
}

// showError answers with a page that says what is wrong and what to do.
func (x *exchange) showError(e *pageError) {
	v := view{Title: e.title, Lead: e.text, status: e.status, Blocks: []block{{Links: []link{{Text: txtToStart, Href: x.portal.prefix}}}}}
	if e.again {
		v.Blocks[0].Links = []link{{Text: txtSignInAgain, Href: x.path("sign-in"), Primary: true}}
	}
	if err := x.show(v); err != nil {
		http.Error(x.w, e.title, e.status)
	}
}

// stylesheet answers with the one stylesheet.
func (x *exchange) stylesheet() error {
	x.w.Header().Set("Cache-Control", "public, max-age=3600")
	http.ServeFileFS(x.w, x.r, staticFiles, "static/portal.css")
	return nil
}

// pageSize is how many rows a list shows at once.
const pageSize = 50

// maxQuery is how long something to search for may be, in bytes.
const maxQuery = 200

// query returns a parameter of the page's address.
func (x *exchange) query(name string) string {
	v := strings.TrimSpace(x.r.URL.Query().Get(name))
	if len(v) > maxQuery {
		v = v[:maxQuery]
	}
	return strings.ToValidUTF8(v, "")
}

// part returns the rows of the page that is asked for, and where the next is.
func (x *exchange) part(rows [][]cell) ([][]cell, string) {
	page, err := strconv.Atoi(x.r.URL.Query().Get("page"))
	if err != nil || page < 0 || page > 1_000_000 {
		page = 0
	}
	from := min(page*pageSize, len(rows))
	to := min(from+pageSize, len(rows))
	if to == len(rows) {
		return rows[from:to], ""
	}
	return rows[from:to], x.with("page", strconv.Itoa(page+1))
}

// with returns this page's address with a parameter changed.
func (x *exchange) with(name, value string) string {
	q := x.r.URL.Query()
	q.Del("done")
	q.Set(name, value)
	return x.r.URL.Path + "?" + q.Encode()
}

// notice says what the form before this page has done.
func (x *exchange) notice() string { return notices[x.r.URL.Query().Get("done")] }
