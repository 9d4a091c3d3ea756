package management

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestRouterFindsOneRoute: words before variables, each segment as it was sent.
func TestRouterFindsOneRoute(t *testing.T) {
	get := func(path string) route { return route{method: http.MethodGet, path: path} }
	router := newRouter([]route{get("/robots/{name}"), get("/robots/self"), get("/{kind}/all"), get("/robots"), {method: http.MethodPut, path: "/robots/{name}"}, get("/robots/{name}/rotate")})
	long := strings.Repeat("a", maxPathValue)
	for path, want := range map[string]string{
		"/robots":               "robots ",
		"/robots/ci":            "robots/{name} name=ci",
		"/robots/self":          "robots/self ",
		"/robots/all":           "robots/{name} name=all",
		"/users/all":            "{kind}/all kind=users",
		"/robots/ci/rotate":     "robots/{name}/rotate name=ci",
		"/robots/a%2Fb":         "robots/{name} name=a/b",
		"/robots/a%2Frotate":    "robots/{name} name=a/rotate",
		"/robots/" + long:       "robots/{name} name=" + long,
		"/robots/" + long + "a": "",
		"/robots/":              "",
		"/robots/%zz":           "",
		"/robots/ci/":           "",
		"/robots/ci/other":      "",
		"/":                     "",
		"/users":                "",
	} {
		got := ""
		if x, values := router.find(path); x != nil {
			got = strings.Join(x.segments, "/") + " "
			for _, name := range slices.Sorted(maps.Keys(values)) {
				got += name + "=" + values[name]
			}
		}
		if got != want {
			t.Errorf("%.40s: %.60q, want %.60q", path, got, want)
		}
	}
	x, _ := router.find("/robots/ci")
	if allow := x.allow(); allow != "GET, HEAD, OPTIONS, PUT" {
		t.Error(allow)
	}
}

// TestPagesOfAList has pages of every size, from cursors that were handed out
// and from others.
func TestPagesOfAList(t *testing.T) {
	names := []string{"c", "a", "d", "b"}
	for _, test := range []struct {
		q    PageQuery
		want string // "!": it is refused
		next string
	}{
		{PageQuery{}, "a b c d", ""},
		{PageQuery{Limit: 4}, "a b c d", ""},
		{PageQuery{Limit: 3}, "a b c", "c"},
		{PageQuery{Limit: 1}, "a", "a"},
		{PageQuery{Limit: maxPage}, "a b c d", ""},
		{PageQuery{Limit: maxPage + 1}, "!", ""},
		{PageQuery{Limit: -1}, "!", ""},
		{PageQuery{Limit: 2, Cursor: encodeCursor("a")}, "b c", "c"},
		{PageQuery{Cursor: encodeCursor("d")}, "", ""},
		{PageQuery{Cursor: encodeCursor("bb")}, "c d", ""},
		{PageQuery{Cursor: "YQ"}, "!", ""},
		{PageQuery{Cursor: "not base64!"}, "!", ""},
		{PageQuery{Cursor: encodeCursor(strings.Repeat("a", maxCursor))}, "!", ""},
	} {
		same := func(s string) string { return s }
		p, err := page(test.q, slices.Values(names), same, same)
		if test.want == "!" {
			if err == nil {
				t.Errorf("%+v was taken", test.q)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", test.q, err)
			continue
		}
		if next := ""; test.next != "" {
			if next = encodeCursor(test.next); p.Next != next {
				t.Errorf("%+v: next %q", test.q, p.Next)
			}
		} else if p.Next != "" {
			t.Errorf("%+v: next %q", test.q, p.Next)
		}
		if got := strings.Join(p.Items, " "); got != test.want {
			t.Errorf("%+v: %q, want %q", test.q, got, test.want)
		}
	}
	s := newStage(t)
	for _, name := range []string{"a", "b"} {
		s.admin("PUT", "/robots/"+name, `{}`).want(201)
	}
	var got List[Robot]
	if s.admin("GET", "/robots?limit=1", nil).want(200).into(&got); len(got.Items) != 1 || got.Next == "" {
		t.Errorf("%+v", got)
	}
	for _, q := range []string{"limit=0", "limit=-1", "limit=x", "limit=1001", "cursor=x"} {
		s.admin("GET", "/robots?"+q, nil).want(422, CodeInvalid)
	}
}

// TestBodyOfAnotherType is read as nothing.
func TestBodyOfAnotherType(t *testing.T) {
	c := &call{body: &NewRobot{Name: "x"}}
	if got := input[NewRobot](c); got.Name != "x" {
		t.Error(got)
	}
	if got := input[NewProject](c); got.Name != "" {
		t.Error(got)
	}
	if _, err := patched(&call{raw: []byte(`{"description":1}`)}, RobotSettings{}); err == nil {
		t.Error("a patch of another type was taken")
	}
	if _, err := patched(&call{raw: []byte(`{`)}, RobotSettings{}); err == nil {
		t.Error("half a patch was taken")
	}
}
