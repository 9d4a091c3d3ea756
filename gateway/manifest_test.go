package gateway

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/signature"
)

// TestManifestArrives whole before anything is decided for good, from those who
// may push, and no other body.
func TestManifestArrives(t *testing.T) {
	whole := strings.Repeat("x", signature.MaxManifest)
	for name, test := range map[string]struct {
		method, path, body string
		actions            []string
		read               bool
		status             int // 0: it is taken
	}{
		"a manifest":                      {"PUT", "manifests/dev", "x", []string{"push", "overwrite"}, true, 0},
		"one as large as may be":          {"PUT", "manifests/dev", whole, []string{"push", "overwrite"}, true, 0},
		"a larger one":                    {"PUT", "manifests/dev", whole + "x", []string{"push", "overwrite"}, false, 413},
		"of a tag that must be new":       {"PUT", "manifests/dev", "x", []string{"push"}, true, 0},
		"of somebody who may not push":    {"PUT", "manifests/dev", "x", []string{"pull"}, false, 0},
		"a large one of somebody like it": {"PUT", "manifests/dev", whole + "x", []string{"pull"}, false, 0},
		"a piece of an upload":            {"PUT", "blobs/uploads/u1", "x", []string{"push"}, false, 0},
		"a deletion":                      {"DELETE", "manifests/dev", "x", []string{"delete"}, false, 0},
	} {
		u := forwards(t, test.method, "/v2/team/app/"+test.path, test.body)
		u.grants(t, authz.Grant{Actions: test.actions, Subjects: []string{"robot:ci"}})
		u.r.TransferEncoding = []string{"chunked"}
		err := u.arrive()
		if (err != nil) != (test.status != 0) {
			t.Errorf("%s: %v", name, err)
		}
		if _, read := u.r.Body.(*manifestBody); read != test.read || read && (u.r.ContentLength != int64(len(test.body)) || u.r.TransferEncoding != nil) {
			t.Errorf("%s: read %v, %d bytes, %v", name, read, u.r.ContentLength, u.r.TransferEncoding)
		}
		if err == nil {
			continue
		}
		if err := u.refuseManifest(err); err != nil || u.w.(*httptest.ResponseRecorder).Code != test.status {
			t.Errorf("%s: %d, %v", name, u.w.(*httptest.ResponseRecorder).Code, err)
		}
	}
	u := forwards(t, "PUT", "/v2/team/app/manifests/dev", "")
	u.r.Body = io.NopCloser(iotest.ErrReader(errors.New("reset")))
	err := u.arrive()
	if err == nil || errors.Is(err, errManifestTooLarge) {
		t.Errorf("half of it was taken: %v", err)
	}
	if err := u.refuseManifest(err); err != nil || u.w.(*httptest.ResponseRecorder).Code != http.StatusBadRequest {
		t.Errorf("%d, %v", u.w.(*httptest.ResponseRecorder).Code, err)
	}
}

// TestAnswersThatAnybodyMayHave went to nobody by a rule that is for everybody
// under all conditions.
func TestAnswersThatAnybodyMayHave(t *testing.T) {
	for name, test := range map[string]struct {
		who    *authn.Principal
		path   string
		grant  authz.Grant
		shared bool
	}{
		"nobody":                  {authn.Anonymous, "/v2/team/app/manifests/v1", authz.Grant{Actions: []string{"pull"}, Subjects: []string{"anyone"}}, true},
		"somebody":                {nil, "/v2/team/app/manifests/v1", authz.Grant{Actions: []string{"pull"}, Subjects: []string{"anyone"}}, false},
		"nobody, from a network":  {authn.Anonymous, "/v2/team/app/manifests/v1", authz.Grant{Actions: []string{"pull"}, Subjects: []string{"anyone"}, Conditions: authz.Conditions{Until: "2200-01-01"}}, false},
		"nobody, without a rule":  {authn.Anonymous, "/v2/team/app/manifests/v1", authz.Grant{Actions: []string{"pull"}, Subjects: []string{"robot:ci"}}, false},
		"nobody, the login check": {authn.Anonymous, "/v2/", authz.Grant{Actions: []string{"pull"}, Subjects: []string{"anyone"}}, false},
	} {
		u := sends(t, "GET", test.path, "")
		u.grants(t, test.grant)
		if test.who != nil {
			u.principal = test.who
		}
		u.decide()
		if test.path == "/v2/" {
			u.decision.Rule = &authz.Rule{}
		}
		if got := u.shared(); got != test.shared {
			t.Errorf("%s: %v", name, got)
		}
	}
}
