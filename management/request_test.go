package management

import (
	"encoding/base64"
	"strings"
	"testing"
)

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestFieldsAreChecked(t *testing.T) {
	s := newStage(t)
	for body, field := range map[string]string{
		`{"name":"x","colour":"red"}`:                   "colour",
		`{"name":"x","Description":"y"}`:                "Description",
		`{"name":"x","name":"y"}`:                       "name",
		`{"name":1}`:                                    "name",
		`{}`:                                            "name",
		`{"name":null}`:                                 "name",
		`{"name":"x","from":["10.0.0.1/8"]}`:            "from[0]",
		`{"name":"x","expires":"tomorrow"}`:             "expires",
		`{"name":"x","expires":"2001-01-01T00:00:00Z"}`: "expires",
		`{"name":"x","permissions":[{"name":"a/**","actions":["fly"]}]}`:       "permissions[0].actions[0]",
		`{"name":"x","permissions":[{"name":"a/**","actions":[]}]}`:            "permissions[0].actions",
		`{"name":"x","permissions":[{"name":"{user}/**","actions":["pull"]}]}`: "permissions[0]",
		`{"name":"x","permissions":[{"name":"A","actions":["pull"]}]}`:         "permissions[0]",
		`{"name":"x","permissions":{}}`:                                        "permissions",
		`{"name":"x","secret":"short"}`:                                        "secret",
		`{"name":"x","secret":"nodigitsOrSo"}`:                                 "secret",
		`{"name":"x","secret_hash":"plain"}`:                                   "secret_hash",
		`{"name":"x","secret":"Good-Secret-1","secret_hash":"$2y$05$x"}`:       "secret_hash",

		`{"name":"robot-x"}`: "name",

		`{"name":"Bad Name"}`: "name",

		`{"name":"x","description":"` + strings.Repeat("x", 1001) + `"}`: "description",
	} {
		got := s.admin("POST", "/robots", body).want(422, CodeInvalid)
		if p := got.problem(); len(p.Errors) == 0 || p.Errors[0].Field != field {
			t.Errorf("%.80s: %s, want field %s", body, got.body, field)
		}
	}
	for _, body := range []string{`{`, `[]`, `null`, `{"name":"x"} {}`, "\xff", strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 50)} {
		s.admin("POST", "/robots", body).want(400, CodeMalformed)
	}
	s.admin("POST", "/robots", `{"name":"x"}`, "Content-Type", "text/plain").want(415)
	s.admin("POST", "/robots", `{"name":"`+strings.Repeat("x", maxBody)+`"}`).want(413)
}

func TestWhoIsAsked(t *testing.T) {
	s := newStage(t)
	s.call("", "GET", "/whoami", nil).want(401, CodeUnauthenticated)
	s.call("wrong", "GET", "/whoami", nil).want(401)
	s.call("craak_000000000000_"+strings.Repeat("0", 43)+"_000000", "GET", "/whoami", nil).want(401)
	s.call("", "GET", "/nothing", nil).want(401)
	s.admin("GET", "/nothing", nil).want(404)
	s.admin("GET", "/robots/a/b/c/d", nil).want(404)
	if allow := s.admin("POST", "/whoami", nil).want(405).header.Get("Allow"); allow != "GET, HEAD, OPTIONS" {
		t.Errorf("Allow %q", allow)
	}
	s.admin("OPTIONS", "/robots", nil).want(204)
	s.call("", "GET", "/health", nil).want(200)
	s.call("", "GET", "/openapi.json", nil).want(200)
	if got := s.call("", "GET", "/whoami", nil).header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
		t.Errorf("WWW-Authenticate %q", got)
	}
}

func TestBrowsersProveWhoAsks(t *testing.T) {
	s := newStage(t)
	s.call("session:root", "GET", "/whoami", nil).want(200)
	for _, c := range []struct {
		header []string
		status int
	}{
		{nil, 403},
		{[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		{[]string{"Sec-Fetch-Site", "same-site"}, 403},
		{[]string{"Origin", "https://evil.example"}, 403},
		{[]string{"Sec-Fetch-Site", "same-origin"}, 200},
		{[]string{"Origin", "http://example.com"}, 200},
		{[]string{"X-CSRF-Protection", "1"}, 200},
		{[]string{"X-CSRF-Protection", "1", "Origin", "https://evil.example"}, 403},
	} {
		got := s.call("session:root", "PUT", "/role-mappings/user:bob", `{"role": "guest"}`, c.header...)
		if c.status == 200 && got.status == 201 {
			continue
		}
		if got.status != c.status {
			t.Errorf("%v: %d, want %d: %s", c.header, got.status, c.status, got.body)
		}
	}
}

// TestBrowsersCreateNoCredentials: what a browser sends by itself makes nothing
// that lasts longer than the page that asked for it.
func TestBrowsersCreateNoCredentials(t *testing.T) {
	s := newStage(t)
	s.admin("PUT", "/robots/there", `{}`).want(201)
	own := []string{"Sec-Fetch-Site", "same-origin"}
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/tokens", `{"name": "x"}`},
		{"POST", "/keys", `{"name": "x", "scopes": ["*"]}`},
		{"POST", "/robots", `{"name": "x"}`},
		{"PUT", "/robots/x", `{}`},
		{"PUT", "/robots/there", `{"secret": "Correct-Horse-1"}`},
		{"POST", "/robots/there/rotate", `{}`},
		{"POST", "/import", `{"version": 1}`},
	} {
		s.call("session:root", c.method, c.path, c.body, own...).want(403, CodeUnconfirmed)
	}
	s.call("session:root", "PUT", "/robots/there", `{"description": "changed"}`, own...).want(200)
	s.call("session:root", "POST", "/import?dry_run=true", `{"version": 1}`, own...).want(200)
}
