package gateway

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// TestRequestsToTheRegistry: who gets to the registry and with what, and what
// the others are told.
func TestRequestsToTheRegistry(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	good, wrong := "good", "wrong"
	team := authz.Project{
		Name: "team", Patterns: []string{"team/**"}, Immutable: []authz.Immutable{{Tags: []string{"v*"}}},
		Grants: []authz.Grant{{Actions: []string{"pull", "push", "overwrite", "delete"}, Subjects: []string{"robot:ci"}}},
	}
	frozen := authz.Project{Name: "frozen", Patterns: []string{"frozen/**"}, ReadOnly: true, Grants: team.Grants}
	open := authz.Project{Name: "open", Patterns: []string{"open/**"}, Grants: []authz.Grant{{Actions: []string{"pull"}, Subjects: []string{"anyone"}}}}
	for name, test := range map[string]struct {
		method, path, secret string
		change               func(*underWay)
		status               int
		seen                 string // by the registry, of the client's own request
		says                 string
	}{
		"a pull":                          {"GET", "team/app/manifests/dev", good, nil, 200, "/v2/team/app/manifests/dev", ""},
		"a pull, with a wrong secret":     {"GET", "team/app/manifests/dev", wrong, nil, 401, "", `error="invalid_token"`},
		"an open pull, with a wrong one":  {"GET", "open/app/manifests/dev", wrong, nil, 401, "", `error="invalid_token"`},
		"a pull of nobody's":              {"GET", "team/app/manifests/dev", "", nil, 401, "", `scope="repository:team/app:pull"`},
		"an open pull":                    {"GET", "open/app/manifests/dev", "", nil, 200, "/v2/open/app/manifests/dev", ""},
		"a push to what is open":          {"PUT", "open/app/manifests/dev", "", nil, 401, "", ""},
		"a pull of what is another's":     {"GET", "other/app/manifests/dev", good, nil, 403, "", "DENIED"},
		"a pull of a blob":                {"GET", "team/app/blobs/" + digest, good, nil, 200, "/v2/team/app/blobs/" + digest, ""},
		"the login check":                 {"GET", "", good, nil, 200, "", "{}"},
		"the login check of nobody":       {"GET", "", "", nil, 401, "", "docker login"},
		"no path of the registry":         {"GET", "team/app/manifests/..", good, nil, 400, "", "NAME_INVALID"},
		"a method that there is not":      {"POST", "team/app/manifests/dev", good, nil, 405, "", ""},
		"a name that is none":             {"GET", "Team/app/manifests/dev", good, nil, 400, "", "NAME_INVALID"},
		"a new tag that stays":            {"PUT", "team/app/manifests/v2", good, nil, 201, "/v2/team/app/manifests/v2", ""},
		"a tag that stays":                {"PUT", "team/app/manifests/v1", good, nil, 412, "", "immutable"},
		"what is read-only":               {"PUT", "frozen/app/manifests/dev", good, nil, 403, "", "read-only"},
		"what is read-only, pulling":      {"GET", "frozen/app/manifests/dev", good, nil, 200, "/v2/frozen/app/manifests/dev", ""},
		"a manifest that is too large":    {"PUT", "team/app/manifests/dev", good, func(u *underWay) { u.r.Body = http.MaxBytesReader(nil, u.r.Body, 1) }, 400, "", "MANIFEST_INVALID"},
		"somebody who was disabled":       {"PUT", "team/app/manifests/dev", good, func(u *underWay) { u.ended = authn.ErrDisabled }, 401, "", "invalid_token"},
		"in early data":                   {"PUT", "team/app/manifests/dev", good, func(u *underWay) { u.r.Header.Set("Early-Data", "1") }, 425, "", ""},
		"a mount":                         {"POST", "team/app/blobs/uploads/?mount=" + digest + "&from=open/app", good, nil, 201, "/v2/team/app/blobs/uploads/?mount=" + digest + "&from=open/app", ""},
		"a mount of what is another's":    {"POST", "team/app/blobs/uploads/?mount=" + digest + "&from=other/app", good, nil, 201, "/v2/team/app/blobs/uploads/", ""},
		"a token that is not good for it": {"PUT", "team/app/manifests/dev", good, limited, 401, "", `error="insufficient_scope"`},
		"an explanation":                  {"GET", "other/app/manifests/dev", good, func(u *underWay) { u.front.Explain = true }, 403, "", "nothing grants pull"},
		"a deletion among too many tags":  {"DELETE", "team/app/manifests/" + digest, good, nil, 412, "", "more than"},
		"a registry that says nothing":    {"DELETE", "team/silent/manifests/" + digest, good, nil, 503, "", ""},
	} {
		u := forwards(t, http.MethodGet, "/v2/team/app/manifests/dev", "")
		p, err := authz.Compile(authz.Config{Projects: []authz.Project{team, frozen, open}})
		if err != nil {
			t.Fatal(err)
		}
		u.policy.Store(p)
		r := httptest.NewRequestWithContext(t.Context(), test.method, "/v2/"+test.path, strings.NewReader("body"))
		if test.method == http.MethodGet {
			r.Body, r.ContentLength = http.NoBody, 0
		}
		if test.secret != "" {
			r.SetBasicAuth("robot$ci", test.secret)
		}
		u.who = u.principal
		used := 0
		u.front.Used = func(*http.Request, *authn.Principal) { used++ }
		w := httptest.NewRecorder()
		u.exchange = &exchange{front: u.front, r: r, w: w, policy: p, next: u.next}
		seen := ""
		u.registry = func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.Contains(r.URL.Path, "silent"):
				w.WriteHeader(http.StatusInternalServerError)
			case strings.HasSuffix(r.URL.Path, "/tags/list"):
				fmt.Fprint(w, `{"tags":["x"`+strings.Repeat(`,"x"`, maxTagsAsked)+`]}`)
			case r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, "v1"):
				w.Header().Set("Docker-Content-Digest", digest)
			case r.Method == http.MethodHead:
				w.WriteHeader(http.StatusNotFound)
			case r.Method == http.MethodGet:
				seen = r.RequestURI
				w.WriteHeader(http.StatusOK)
			default:
				seen = r.RequestURI
				w.WriteHeader(http.StatusCreated)
			}
		}
		if test.change != nil {
			test.change(u)
		}
		if err := u.serve(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if told := fmt.Sprint(w.Header(), w.Body); w.Code != test.status || seen != test.seen || !strings.Contains(strings.ReplaceAll(told, `\"`, `"`), test.says) {
			t.Errorf("%s: %d, the registry saw %q: %s", name, w.Code, seen, told)
		}
		if challenged := w.Header().Get("Www-Authenticate") != ""; challenged != (test.status == 401) {
			t.Errorf("%s: %v", name, w.Header())
		}
		if test.status == 200 && test.secret != "" && (used != 1 || w.Header().Get("Cache-Control") != "private") {
			t.Errorf("%s: used %d times, %v", name, used, w.Header())
		}
		if n := len(u.front.Locks.held); n != 0 {
			t.Errorf("%s: %d tags are still held", name, n)
		}
	}
}

// limited has the sender show a registry token for pulling.
func limited(u *underWay) {
	p := *u.who
	p.Credential, p.Limits = authn.CredentialRegistryToken, []authn.Limit{{Type: "repository", Name: "team/app", Actions: []string{"pull"}}}
	u.who = &p
}
