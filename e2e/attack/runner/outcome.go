package runner

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// outcome is everything that came of a row.
type outcome struct {
	row       Row
	target    string // of the request, filled in
	answer    *answer
	upstream  []upstream.Request
	wire      []byte
	log       func() []string // until now
	faults    []string
	collab    string
	outbound  int
	growth    int64       // of the gateway's memory, in bytes
	throttled bool        // one of the repetitions was answered 429
	statuses  map[int]int // how often the requests of a race were answered so

	sessionCookie string // the name of the session's

	// peer returns the answer to another row, isAdmin whether somebody is
	// administrator now, signedIn where the browser is sent that goes on with
	// the sign-in which this answer begins.
	peer     func(id string) (*outcome, error)
	isAdmin  func(person string) (bool, error)
	signedIn func() (string, error)
}

// reached checks what arrived at the registry.
func (o *outcome) reached(argument string) (string, error) {
	switch argument {
	case "any":
		return found(len(o.upstream) > 0, "%s", o.requests())
	case "anonymous":
		return o.any("without the gateway's credential", func(q upstream.Request) bool {
			return q.Header.Get("Authorization") != stage.Basic(stage.UpstreamUser, stage.UpstreamPassword)
		})
	case "state-changed":
		return o.any("which may change something", func(q upstream.Request) bool {
			return q.Method != http.MethodGet && q.Method != http.MethodHead
		})
	case "requests>1":
		return found(len(o.upstream) > 1, "%s", o.requests())
	}
	if method, ok := strings.CutPrefix(argument, "method="); ok {
		return o.any("of that method", func(q upstream.Request) bool { return strings.EqualFold(q.Method, method) })
	}
	if part, ok := strings.CutPrefix(argument, "path~"); ok {
		return o.any("of that path", func(q upstream.Request) bool {
			return strings.Contains(q.Path, part) || strings.Contains(q.Target, part)
		})
	}
	if part, ok := strings.CutPrefix(argument, "query~"); ok {
		return o.any("of that query", func(q upstream.Request) bool { return strings.Contains(q.Query, part) })
	}
	if header, ok := strings.CutPrefix(argument, "header:"); ok {
		return o.receivedHeader(header)
	}
	return "", unsupported("expectation upstream:%s", argument)
}

// receivedHeader checks NAME, NAME=VALUE, NAME~PART and NAME+NAME (both, as
// they came over the wire). Trailers count as headers.
func (o *outcome) receivedHeader(argument string) (string, error) {
	if first, second, ok := strings.Cut(argument, "+"); ok {
		return found(o.wireHas(first) && o.wireHas(second), "a request with both %s and %s reached the registry", first, second)
	}
	name, value, exact := strings.Cut(argument, "=")
	if !exact {
		name, value, _ = strings.Cut(argument, "~")
	}
	return o.any("with header "+argument, func(q upstream.Request) bool {
		for _, set := range []http.Header{q.Header, q.Trailer} {
			for have, values := range set {
				if strings.EqualFold(have, name) && slices.ContainsFunc(values, func(v string) bool {
					return v == value || !exact && strings.Contains(v, value)
				}) {
					return true
				}
			}
		}
		return false
	})
}

// wireHas reports whether a head on the wire has a header of that name.
func (o *outcome) wireHas(name string) bool {
	return strings.Contains(strings.ToLower(string(o.wire)), "\r\n"+strings.ToLower(name)+":")
}

func (o *outcome) any(what string, match func(upstream.Request) bool) (string, error) {
	i := slices.IndexFunc(o.upstream, match)
	if i < 0 {
		return "", nil
	}
	q := o.upstream[i]
	return fmt.Sprintf("%s %s, a request %s, reached the registry", q.Method, q.Target, what), nil
}

func (o *outcome) requests() string {
	var list []string
	for _, q := range o.upstream {
		list = append(list, q.Method+" "+q.Target)
	}
	return fmt.Sprintf("the registry saw %d requests: %s", len(list), strings.Join(list, ", "))
}

// invariants returns which of the standing rules for every row are broken.
func (o *outcome) invariants(s *secrets) []string {
	var broken []string
	if o.answer.status >= 500 && !slices.Contains(o.row.ExpectStatus, o.answer.status) {
		broken = append(broken, fmt.Sprintf("server error %d", o.answer.status))
	}
	for _, line := range o.faults {
		broken = append(broken, "log: "+line)
	}
	for _, line := range o.log() {
		if secret, ok := s.in(line); ok {
			broken = append(broken, "secret "+secret+" in the log")
			break
		}
	}
	text := string(o.answer.body)
	for name, values := range o.answer.header {
		text += "\n" + name + ": " + strings.Join(values, ", ")
	}
	if secret, ok := s.in(text); ok {
		broken = append(broken, "secret "+secret+" in the answer")
	}
	if o.row.allRefusals() && !o.mayAsk() && len(o.upstream) > 0 {
		broken = append(broken, o.requests())
	}
	return broken
}

// mayAsk reports whether the registry may be asked although the row expects
// nothing but refusals. Which repository holds a blob or an upload is known to
// the registry only: to a caller who may read the repository in the path, it
// is the registry that answers 404. Rows that mind say upstream:any.
func (o *outcome) mayAsk() bool {
	return (o.row.Group == "mount" || o.row.Group == "upload") && slices.Contains(o.row.ExpectStatus, http.StatusNotFound)
}

// tokenField returns the token of a token endpoint's answer, or "".
func tokenField(body []byte) string {
	var fields struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(body, &fields) != nil {
		return ""
	}
	if fields.Token == "" {
		return fields.AccessToken
	}
	return fields.Token
}
