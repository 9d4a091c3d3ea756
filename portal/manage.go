package portal

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// caller is the person as operations know it.
func (x *exchange) caller() (*management.Caller, error) {
	who, err := x.portal.options.Manager.Caller(x.principal())
	if err != nil {
		return nil, err
	}
	from := x.client()
	who.Remote, who.Agent, who.RequestID = from.remote, from.agent, from.requestID
	if x.fresh {
		who.Confirm()
	}
	return who, nil
}

// manager returns the operations and who calls them.
func (x *exchange) manager() (*management.Manager, *management.Caller, error) {
	who, err := x.caller()
	return x.portal.options.Manager, who, err
}

// correctable returns what a person can put right in a form, empty for what
// is no matter of the form.
func correctable(err error) string {
	e := new(management.Error)
	if !errors.As(err, &e) {
		e = management.AsError(err)
	}
	switch e.Code {
	case management.CodeInvalid, management.CodeExists, management.CodeConflict, management.CodeDeclared, management.CodeStale,
		management.CodeForbidden, management.CodeTooLarge, management.CodeNotFound:
	default:
		return ""
	}
	words := make([]string, 0, len(e.Fields)+1)
	if e.Detail != "" {
		words = append(words, capital(e.Detail)+".")
	}
	for _, f := range e.Fields {
		words = append(words, capital(f.Field)+": "+f.Detail+".")
	}
	return strings.Join(words, " ")
}

// managementPage says in words for people why an operation was not done.
func managementPage(e *management.Error) *pageError {
	detail := correctable(e)
	switch e.Code {
	case management.CodeForbidden, management.CodeScope:
		return &pageError{http.StatusForbidden, string(e.Code), txtForbiddenTitle, detail + " " + txtForbidden, false}
	case management.CodeUnauthenticated:
		return &pageError{http.StatusUnauthorized, string(e.Code), txtSignInFirst, txtSignInFirst, true}
	case management.CodeNotFound:
		return errNotFound
	case management.CodeInvalid, management.CodeExists, management.CodeConflict, management.CodeDeclared, management.CodeStale, management.CodeTooLarge:
		return &pageError{http.StatusConflict, string(e.Code), txtNotDoneTitle, detail, false}
	case management.CodeUnavailable:
		return &pageError{e.Code.Status(), string(e.Code), txtStoreTitle, txtStore, false}
	case management.CodeUnknown:
		return &pageError{e.Code.Status(), string(e.Code), txtOutcomeTitle, txtOutcome, false}
	case management.CodeUnusable:
		return &pageError{e.Code.Status(), string(e.Code), txtStoreTitle, txtUnusable, false}
	case management.CodeFull:
		return &pageError{e.Code.Status(), string(e.Code), txtStoreTitle, txtFull, false}
	case management.CodeBusy:
		return &pageError{e.Code.Status(), string(e.Code), txtBusyTitle, txtBusy, false}
	}
	return nil
}

// everyPage gathers a list that is searched as a whole.
func everyPage[T any](list func(management.PageQuery) (*management.Page[T], error)) ([]T, error) {
	var all []T
	q := management.PageQuery{Limit: 1000}
	for {
		page, err := list(q)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return all, nil
		}
	}
}

// cursor is the part of a long list that is asked for.
func (x *exchange) cursor() management.PageQuery {
	return management.PageQuery{Limit: pageSize, Cursor: x.query("after")}
}

// next is the address of the page that follows, empty if there is none.
func (x *exchange) next(cursor string) string {
	if cursor == "" {
		return ""
	}
	return x.with("after", cursor)
}

// matches reports whether one of the texts contains what is searched.
func matches(q string, texts ...string) bool {
	q = strings.ToLower(q)
	for _, t := range texts {
		if strings.Contains(strings.ToLower(t), q) {
			return true
		}
	}
	return q == ""
}

// formList reads a list that was typed in: by lines, spaces or commas.
func (x *exchange) formList(name string) []string {
	return strings.FieldsFunc(x.r.PostForm.Get(name), func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
}

// formTime reads the end of a day, nil if none was given.
func (x *exchange) formTime(name string) (*time.Time, bool) {
	text := x.r.PostForm.Get(name)
	if text == "" {
		return nil, true
	}
	day, err := time.Parse("2006-01-02", text)
	if err != nil {
		return nil, false
	}
	end := day.Add(24*time.Hour - time.Second)
	return &end, true
}

// expiry is when something ends, with a warning if that is soon.
func (x *exchange) expiry(at *time.Time) cell {
	if at == nil {
		return cell{Text: txtNever}
	}
	left := at.Sub(x.portal.options.Now())
	switch {
	case left <= 0:
		return cell{Text: txtExpired, Badge: "bad", Sub: at.UTC().Format("2006-01-02 15:04 MST")}
	case left < soon:
		return cell{Text: sprintf(txtDaysLeft, int(left/(24*time.Hour))+1), Badge: "warn", Sub: at.UTC().Format("2006-01-02 15:04 MST")}
	}
	return cell{Time: *at}
}

// soon is how long before its end something is warned about.
const soon = 14 * 24 * time.Hour

// used is when and from where something was used last.
func used(u *management.LastUsed) cell {
	if u == nil {
		return cell{Text: txtNever}
	}
	return cell{Time: u.At, Sub: u.Remote}
}

// permissionsText puts permissions into lines.
func permissionsText(list []management.Permission) string {
	lines := make([]string, len(list))
	for i, p := range list {
		lines[i] = p.Name + " " + strings.Join(p.Actions, " ")
	}
	return strings.Join(lines, "\n")
}

// formPermissions reads lines such as "team/** pull push".
func (x *exchange) formPermissions(name string) []management.Permission {
	var list []management.Permission
	for line := range strings.Lines(x.r.PostForm.Get(name)) {
		words := strings.Fields(strings.ReplaceAll(line, ",", " "))
		if len(words) == 0 {
			continue
		}
		p := management.Permission{Type: "repository", Name: words[0], Actions: words[1:]}
		if words[0] == "catalog" {
			p.Type = "registry"
		}
		list = append(list, p)
	}
	return list
}

// secretOnce shows a secret that was made just now, with the line to use it.
func (x *exchange) secretOnce(title, lead, login, secret, back string) error {
	host := x.host()
	return x.show(view{Title: title, Lead: lead, Blocks: []block{
		{Heading: txtSecretOnce, Text: txtSecretOnceNote, Snippets: []snippet{
			{txtSecret, secret},
			{txtSecretLogin, "echo '" + secret + "' | docker login " + host + " --username " + shellWord(login) + " --password-stdin"},
		}, Links: []link{{Text: txtDone, Href: x.path(back), Primary: true}, {Text: txtClients, Href: x.path("clients")}}},
	}})
}

// capital begins a sentence.
func capital(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
