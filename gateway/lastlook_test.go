package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

// underWay is a request on its way whose rules, sender and registry a test
// changes.
type underWay struct {
	*exchange
	policy   atomic.Pointer[authz.Policy]
	ended    error // what the sender's authenticator says
	who      *authn.Principal
	registry http.HandlerFunc
}

// Authenticate implements [authn.Authenticator].
func (u *underWay) Authenticate(_ context.Context, c *authn.Credential) (*authn.Principal, error) {
	switch {
	case c.Scheme != authn.SchemeBasic || u.who == nil:
		return nil, authn.ErrNotMine
	case c.Secret != "good":
		return nil, authn.ErrInvalid
	}
	return u.who, nil
}

// Recheck implements [authn.Rechecker].
func (u *underWay) Recheck(*authn.Principal, *authn.Credential) error { return u.ended }

func (u *underWay) rules(t *testing.T, actions ...string) {
	t.Helper()
	p, err := authz.Compile(authz.Config{Projects: []authz.Project{{
		Name: "team", Patterns: []string{"team/**"}, Grants: []authz.Grant{{Actions: actions, Subjects: []string{"robot:ci"}}}, Immutable: []authz.Immutable{{Tags: []string{"v*"}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	u.policy.Store(p)
}

// sends is the request of a robot that may pull, push and delete.
func sends(t *testing.T, method, path, body string) *underWay {
	t.Helper()
	u := &underWay{registry: func(http.ResponseWriter, *http.Request) { t.Error("the registry was asked") }}
	u.rules(t, "pull", "push", "overwrite", "delete")
	opened, err := state.Open(t.Context(), memstore.New(), "main", state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.Close)
	cleaning, err := NewCleaning(&caddyfile.Config{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	front := &Front{
		Policy: u.policy.Load, Chain: authn.NewChain([]authn.Member{authn.NewMember("robots", u)}, nil), State: opened,
		Locks: NewTagLocks(), Upstream: NewUpstream(nil), Cleaning: cleaning, Grace: time.Hour,
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	u.exchange = &exchange{
		front: front, r: r, w: httptest.NewRecorder(), policy: front.Policy(), start: time.Now(), at: time.Now(), credential: &authn.Credential{},
		principal: &authn.Principal{Kind: authn.KindRobot, Name: "ci", Authenticator: "robots"},
		next: caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			u.registry(w, r)
			return nil
		}),
	}
	if u.request, err = authz.ParseRequest(method, r.URL, r.Header, nil); err != nil {
		t.Fatal(err)
	}
	return u
}

// settled brings the decision to its end.
func (u *underWay) settled() (string, error) {
	query := u.decide()
	err := u.settle(&query)
	switch {
	case err != nil:
		return "", err
	case u.decision.Allowed:
		return "allowed", nil
	}
	return "refused", nil
}

// TestSenderIsLookedAtAgain: what has ended since the request came ends it, to
// the second.
func TestSenderIsLookedAtAgain(t *testing.T) {
	for name, test := range map[string]struct {
		path    string
		expired time.Duration // how long ago; 0: it does not expire
		change  func(*underWay)
		want    error
	}{
		"nothing has changed":                {"manifests/dev", 0, nil, nil},
		"they were disabled":                 {"manifests/dev", 0, func(u *underWay) { u.ended = authn.ErrDisabled }, authn.ErrDisabled},
		"their authenticator is gone":        {"manifests/dev", 0, func(u *underWay) { u.principal.Authenticator = "other" }, authn.ErrDisabled},
		"they were revoked":                  {"manifests/dev", 0, revokeAll, authn.ErrExpired},
		"their token has just expired":       {"manifests/dev", keys.Leeway - 5*time.Second, nil, nil},
		"their token has expired":            {"manifests/dev", keys.Leeway, nil, authn.ErrExpired},
		"it has expired during an upload":    {"blobs/uploads/u1", 10 * time.Minute, nil, nil},
		"it has expired long ago, uploading": {"blobs/uploads/u1", time.Hour, nil, authn.ErrExpired},
		"nobody waits for such an upload":    {"blobs/uploads/u1", keys.Leeway - 5*time.Second, func(u *underWay) { u.front.Grace = 0 }, nil},
	} {
		u := sends(t, http.MethodPut, "/v2/team/app/"+test.path, "x")
		if test.expired > 0 {
			u.principal.Expires = time.Now().Add(-test.expired)
		}
		if test.change != nil {
			test.change(u)
		}
		policy, err := u.stillGood()
		if !errors.Is(err, test.want) || err == nil && policy != u.policy.Load() {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		var ended *endedError
		if err := u.lookAgain(); errors.As(err, &ended) != (test.want != nil) {
			t.Errorf("%s: on its way: %v", name, err)
		}
		if _, err := u.settled(); errors.As(err, &ended) != (test.want != nil) {
			t.Errorf("%s: at the end: %v", name, err)
		}
	}
}

func revokeAll(u *underWay) {
	var tx state.Tx
	state.Put(&tx, u.front.State.Revocations, state.RevokeAll, &state.Revocation{NotBefore: time.Now().Add(time.Hour)}, state.Absent)
	if err := u.front.State.Commit(context.Background(), &tx); err != nil {
		panic(err)
	}
	u.principal.Credential, u.principal.Issued = authn.CredentialRegistryToken, time.Now().Add(-time.Minute)
}

// TestRulesAreLookedAtAgain: those count that are in force when the body has
// come.
func TestRulesAreLookedAtAgain(t *testing.T) {
	u := sends(t, http.MethodPut, "/v2/team/app/manifests/dev", "x")
	if got, err := u.settled(); got != "allowed" || err != nil {
		t.Error(got, err)
	}
	if err := u.lookAgain(); err != nil {
		t.Error(err)
	}
	u = sends(t, http.MethodPut, "/v2/team/app/manifests/dev", "x")
	u.rules(t, "pull")
	var refused *refusedError
	if err := u.lookAgain(); !errors.As(err, &refused) || refused.decision.Allowed || refused.Error() == "" {
		t.Error(err)
	}
	if got, err := u.settled(); got != "refused" || err != nil || u.exchange.policy != u.policy.Load() {
		t.Error(got, err)
	}
	// Rules that change all the time decide nothing.
	u = sends(t, http.MethodPut, "/v2/team/app/manifests/dev", "x")
	u.front.Policy = func() *authz.Policy { u.rules(t, "push", "overwrite"); return u.policy.Load() }
	if got, err := u.settled(); err == nil {
		t.Errorf("%s by rules that have changed since", got)
	}
}

// TestTagsAreHeld whose absence somebody's right depends on, and no others.
func TestTagsAreHeld(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	absent := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }
	for name, test := range map[string]struct {
		method, path string
		actions      []string
		want         string // the decision and what is held
	}{
		"a new immutable tag":            {"PUT", "manifests/v1", []string{"push", "overwrite"}, `allowed ["" "v1"]`},
		"a tag that may be moved":        {"PUT", "manifests/dev", []string{"push", "overwrite"}, `allowed []`},
		"a new tag":                      {"PUT", "manifests/dev", []string{"push"}, `allowed ["dev"]`},
		"several, of which some are new": {"PUT", "manifests/" + digest + "?tag=v1&tag=dev", []string{"push", "overwrite"}, `allowed ["" "dev" "v1"]`},
		"a digest":                       {"PUT", "manifests/" + digest, []string{"push", "overwrite"}, `allowed []`},
		"nobody's":                       {"PUT", "manifests/v1", []string{"pull"}, `refused []`},
		"the deletion of a digest":       {"DELETE", "manifests/" + digest, []string{"delete"}, `allowed [""]`},
		"an upload":                      {"PUT", "blobs/uploads/v1", []string{"push"}, `allowed []`},
	} {
		u := sends(t, test.method, "/v2/team/app/"+test.path, "x")
		u.rules(t, test.actions...)
		u.exchange.policy = u.policy.Load()
		u.registry = absent
		got, err := u.settled()
		var held []string
		if u.held != nil {
			held = slices.Clone(u.held.tags)
			slices.Sort(held)
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if _, err := u.front.Locks.lock(ctx, "team/app", held); err == nil {
				t.Errorf("%s: it is not held", name)
			}
			cancel()
			u.held.release()
		}
		if got = fmt.Sprintf("%s %q", got, slices.Compact(held)); got != test.want || err != nil {
			t.Errorf("%s: %s, %v, want %s", name, got, err, test.want)
		}
		if len(u.front.Locks.held) != 0 {
			t.Errorf("%s: %d locks are left", name, len(u.front.Locks.held))
		}
	}
}

// TestTagIsBusy while somebody else pushes it.
func TestTagIsBusy(t *testing.T) {
	u := sends(t, http.MethodPut, "/v2/team/app/manifests/v1", "x")
	unlock, err := u.front.Locks.lock(t.Context(), "team/app", []string{"v1"})
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := u.hold(ctx, "team/app", []string{"v1"}); !errors.Is(err, errTagBusy) || u.held != nil {
		t.Errorf("%v, held %v", err, u.held)
	}
}

// TestRegistryIsAsked has what the registry says about tags decide, and what it
// does not say refuse.
func TestRegistryIsAsked(t *testing.T) {
	digest, other := "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("b", 64)
	list := func(w http.ResponseWriter, r *http.Request, tags map[string]string) {
		tag := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		if tag == "list" {
			fmt.Fprint(w, `{"tags":[`)
			for i, tag := range slices.Sorted(func(yield func(string) bool) {
				for tag := range tags {
					if !yield(tag) {
						return
					}
				}
			}) {
				if i > 0 {
					fmt.Fprint(w, ",")
				}
				fmt.Fprintf(w, "%q", tag)
			}
			fmt.Fprint(w, `]}`)
			return
		}
		if r.Method == http.MethodGet { // a manifest, by digest
			fmt.Fprintf(w, `{"schemaVersion":2,"manifests":[{"digest":%q}]}`, digest)
			return
		}
		at, ok := tags[tag]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Docker-Content-Digest", at)
	}
	tags := func(tags map[string]string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { list(w, r, tags) }
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	text := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
	}
	for name, test := range map[string]struct {
		method, path string
		registry     http.HandlerFunc
		want         string // "": it cannot be decided
	}{
		"a tag that is not there":             {"PUT", "v1", status(404), "allowed"},
		"a tag that is there":                 {"PUT", "v1", tags(map[string]string{"v1": other}), "refused"},
		"a tag without a digest":              {"PUT", "v1", tags(map[string]string{"v1": ""}), "refused"},
		"one of several that is there":        {"PUT", digest + "?tag=v2&tag=v1", tags(map[string]string{"v1": other}), "refused"},
		"a registry that fails":               {"PUT", "v1", status(500), ""},
		"a registry that does not say":        {"PUT", "v1", status(202), ""},
		"a registry that refuses":             {"PUT", "v1", status(401), ""},
		"a digest of a tag that stays":        {"DELETE", digest, tags(map[string]string{"v1": digest}), "refused"},
		"a digest of another tag":             {"DELETE", digest, tags(map[string]string{"dev": digest}), "allowed"},
		"a digest of no tag":                  {"DELETE", digest, tags(map[string]string{"dev": other}), "allowed"},
		"a digest that a tag needs":           {"DELETE", digest, tags(map[string]string{"v1": other}), "refused"},
		"a tag whose digest it does not tell": {"DELETE", digest, tags(map[string]string{"v1": ""}), "refused"},
		"no tags":                             {"DELETE", digest, tags(nil), "allowed"},
		"no repository":                       {"DELETE", digest, status(404), "allowed"},
		"a list that fails":                   {"DELETE", digest, status(500), ""},
		"a list that is none":                 {"DELETE", digest, text("<html>"), ""},
		"a list that is cut off":              {"DELETE", digest, text(`{"tags":[]}` + strings.Repeat(" ", maxTagPage)), ""},
		"too many tags":                       {"DELETE", digest, text(`{"tags":["x"` + strings.Repeat(`,"x"`, maxTagsAsked) + `]}`), ""},
	} {
		u := sends(t, test.method, "/v2/team/app/manifests/"+test.path, "x")
		u.rules(t, "push", "overwrite", "delete")
		u.exchange.policy = u.policy.Load()
		u.registry = test.registry
		got, err := u.settled()
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: %q, %v, want %q", name, got, err, test.want)
		}
		if u.held != nil {
			u.held.release()
		}
	}
}

// TestTagThatComesMeanwhile: the tags are looked at again when nobody can push
// any more that matter.
func TestTagThatComesMeanwhile(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for second, want := range map[string]string{`{"tags":[]}`: "allowed", `{"tags":["v1"]}`: "refused", `{"tags":["dev"]}`: "allowed", `<html>`: ""} {
		u := sends(t, http.MethodDelete, "/v2/team/app/manifests/"+digest, "")
		lists := 0
		u.registry = func(w http.ResponseWriter, r *http.Request) {
			switch {
			case !strings.HasSuffix(r.URL.Path, "/list"):
				w.Header().Set("Docker-Content-Digest", digest)
			case lists == 0:
				lists++
				fmt.Fprint(w, `{"tags":["dev"]}`)
			default:
				lists++
				if u.held == nil {
					t.Error("the tags are not held")
				}
				fmt.Fprint(w, second)
			}
		}
		got, err := u.settled()
		if got != want || (err == nil) != (want != "") || lists != 2 {
			t.Errorf("%s: %q, %v after %d lists, want %q", second, got, err, lists, want)
		}
	}
}

// TestPagesOfTags has all of them read, by links in every form.
func TestPagesOfTags(t *testing.T) {
	for name, test := range map[string]struct{ link, want string }{
		"a link":             {`</v2/team/app/tags/list?n=1&last=a>; rel="next"`, "n=1&last=a"},
		"a link with blanks": {` </v2/x?last=a> ; rel = "next"`, "last=a"},
		"another relation":   {`</v2/x?last=a>; rel="prev"`, ""},
		"no relation":        {`</v2/x?last=a>`, ""},
		"no link":            {`rel="next"`, ""},
		"no address":         {"<http://[>; rel=\"next\"", ""},
	} {
		got, ok := nextPage(http.Header{"Link": {test.link}})
		if got != test.want || ok != (test.want != "") {
			t.Errorf("%s: %q %v", name, got, ok)
		}
	}
	u := sends(t, http.MethodDelete, "/v2/team/app/manifests/dev", "")
	u.registry = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("last") == "" {
			w.Header().Set("Link", `</v2/team/app/tags/list?last=a>; rel="next"`)
			fmt.Fprint(w, `{"tags":["a"]}`)
			return
		}
		w.Header().Set("Link", `</v2/team/app/tags/list?last=a>; rel="next"`) // and so on
		fmt.Fprint(w, `{"tags":["b"]}`)
	}
	if tags, err := u.allTags(t.Context(), "team/app"); err != nil || strings.Join(tags, " ") != "a b" {
		t.Error(tags, err)
	}
}

// TestBodyIsWatched on its way: not those that nobody can delay, and none that
// changes nothing.
func TestBodyIsWatched(t *testing.T) {
	for name, test := range map[string]struct {
		method, path string
		held         bool
		watched      bool
	}{
		"a piece of an upload":         {"PATCH", "blobs/uploads/u1", false, true},
		"a manifest":                   {"PUT", "manifests/v1", false, false},
		"a manifest whose tag is held": {"PUT", "manifests/v1", true, true},
		"a deletion":                   {"DELETE", "manifests/v1", false, false},
		"a pull that sends something":  {"GET", "manifests/v1", false, false},
	} {
		u := sends(t, test.method, "/v2/team/app/"+test.path, "body")
		if test.held {
			leased, err := (*TagLeases)(nil).hold(t.Context(), t.Context(), "team/app", []string{"v1"})
			if err != nil {
				t.Fatal(err)
			}
			u.held = &hold{leased: leased}
		}
		ended := u.watched()
		if _, ok := u.r.Body.(*watchedBody); ok != test.watched || ended() != nil {
			t.Errorf("%s: watched %v, %v", name, ok, ended())
		}
		if test.method == http.MethodDelete && (u.r.Body != http.NoBody || u.r.ContentLength != 0) {
			t.Errorf("%s: sends a body", name)
		}
	}
	u := sends(t, http.MethodPatch, "/v2/team/app/blobs/uploads/u1", "body")
	ended := u.watched()
	u.ended = authn.ErrDisabled
	if got, err := io.ReadAll(u.r.Body); len(got) != 0 || !errors.As(err, new(*endedError)) {
		t.Errorf("sent %q, %v", got, err)
	}
	if !errors.As(ended(), new(*endedError)) {
		t.Errorf("ended with %v", ended())
	}
	u.ended = nil
	if _, err := u.r.Body.Read(make([]byte, 1)); err == nil {
		t.Error("it goes on after it has ended")
	}
}

// TestBodyIsLookedAtInTime: before its last piece, and once a second.
func TestBodyIsLookedAtInTime(t *testing.T) {
	for name, test := range map[string]struct {
		left   int64
		ago    time.Duration
		always bool
		looks  string // of each of the pieces
	}{
		"of known length":   {4, 0, false, "01"},
		"of unknown length": {-1, 0, false, "001"},
		"a slow one":        {-1, lookEvery, false, "101"},
		"one that is held":  {-1, 0, true, "111"},
	} {
		looked := 0
		b := &watchedBody{ReadCloser: io.NopCloser(strings.NewReader("abcd")), left: test.left, looked: time.Now().Add(-test.ago), always: test.always}
		b.look = func() error { looked++; return nil }
		got := ""
		for range test.looks {
			before := looked
			_, _ = b.Read(make([]byte, 2))
			got += fmt.Sprint(looked - before)
		}
		if got != test.looks {
			t.Errorf("%s: %s, want %s", name, got, test.looks)
		}
	}
}
