package registryauth_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// pagedCatalog is a registry with more repositories than it gives at a time.
func pagedCatalog(names []string, size int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := 0
		if last := r.URL.Query().Get("last"); last != "" {
			start = slices.Index(names, last) + 1
		}
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		end := min(start+min(n, size), len(names))
		if end < len(names) {
			w.Header().Set("Link", fmt.Sprintf(`</v2/_catalog?last=%s&n=%d>; rel="next"`, names[end-1], size))
		}
		_ = json.NewEncoder(w).Encode(map[string][]string{"repositories": names[start:end]})
	}
}

const catalogRealm = `
	public_url http://registry.test
	catalog filtered
	robot reader pull {
		secret_hash HASH
		repositories team/**
	}
`

func TestFilteredCatalog(t *testing.T) {
	g := startGateway(t, catalogRealm)
	var names, mine []string
	for i := range 90 {
		names = append(names, fmt.Sprintf("hidden/r%02d", i))
		if i%9 == 0 {
			name := fmt.Sprintf("team/r%02d", i)
			names, mine = append(names, name), append(mine, name)
		}
	}
	g.upstream.respond(pagedCatalog(names, 30))
	for _, n := range []int{1, 3, 10, 100} {
		var got []string
		for path := fmt.Sprintf("/v2/_catalog?n=%d", n); path != ""; {
			a := g.do("GET", path, "", basic("robot-reader", g.robot))
			if a.StatusCode != 200 {
				t.Fatalf("%s: %d %s", path, a.StatusCode, a.body)
			}
			link := a.Header.Get("Link")
			if strings.Contains(a.body, "hidden") || strings.Contains(link, "hidden") {
				t.Fatalf("a hidden name shows: %s %s", link, a.body)
			}
			var page struct{ Repositories []string }
			if err := json.Unmarshal([]byte(a.body), &page); err != nil || len(page.Repositories) > n {
				t.Fatalf("%v %s", err, a.body)
			}
			got = append(got, page.Repositories...)
			path = ""
			if target, _, ok := strings.Cut(link, ">"); ok {
				path = strings.TrimPrefix(target, "<")
			}
		}
		if !slices.Equal(got, mine) {
			t.Errorf("n=%d: got %v", n, got)
		}
	}
	if a := g.do("GET", "/v2/_catalog?last=~forged", "", basic("robot-reader", g.robot)); a.StatusCode != 400 {
		t.Errorf("a forged cursor: %d", a.StatusCode)
	}
	if a := g.do("GET", "/v2/_catalog", ""); a.StatusCode != 401 {
		t.Errorf("anonymous: %d", a.StatusCode)
	}
}

// A token for the catalog is good for no repository, and still shows what its
// holder may list: this is how crane asks.
// TestFilteredCatalogWhileItChanges: what is there all the time is in the list,
// whatever is deleted or made while somebody pages through it.
func TestFilteredCatalogWhileItChanges(t *testing.T) {
	for name, x := range map[string]struct {
		size    int // of the registry's pages
		deleted []string
		made    []string
	}{
		"on the first page":          {1000, []string{"team/r02", "team/r03"}, nil},
		"what the link stands at":    {1000, []string{"team/r09"}, nil},
		"all of the first page":      {1000, []string{"team/r00", "team/r01", "team/r02", "team/r03", "team/r04", "team/r05", "team/r06", "team/r07", "team/r08", "team/r09"}, nil},
		"a page of the registry's":   {7, []string{"team/r06", "team/r09"}, nil},
		"others come":                {1000, nil, []string{"team/a00", "team/a01"}},
		"one goes and others come":   {1000, []string{"team/r09"}, []string{"team/a00", "team/r05x", "team/z"}},
		"others come on small pages": {7, []string{"team/r09"}, []string{"team/a00", "team/r05x"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := startGateway(t, catalogRealm)
			var mu sync.Mutex
			var names []string
			for i := range 30 {
				names = append(names, fmt.Sprintf("team/r%02d", i))
			}
			stays := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(x.deleted, n) })
			g.upstream.respond(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				list := slices.Clone(names)
				mu.Unlock()
				from, found := slices.BinarySearch(list, r.URL.Query().Get("last"))
				if found {
					from++
				}
				end := min(from+x.size, len(list))
				if end < len(list) {
					w.Header().Set("Link", fmt.Sprintf(`</v2/_catalog?last=%s&n=%d>; rel="next"`, list[end-1], x.size))
				}
				_ = json.NewEncoder(w).Encode(map[string][]string{"repositories": list[from:end]})
			})
			var got []string
			for path := "/v2/_catalog?n=10"; path != ""; {
				a := g.do("GET", path, "", basic("robot-reader", g.robot))
				if a.StatusCode != 200 {
					t.Fatalf("%s: %d %s", path, a.StatusCode, a.body)
				}
				var page struct{ Repositories []string }
				if err := json.Unmarshal([]byte(a.body), &page); err != nil {
					t.Fatal(err)
				}
				if got == nil {
					mu.Lock()
					names = slices.Sorted(slices.Values(append(slices.DeleteFunc(names, func(n string) bool { return slices.Contains(x.deleted, n) }), x.made...)))
					mu.Unlock()
				}
				got, path = append(got, page.Repositories...), ""
				if target, _, ok := strings.Cut(a.Header.Get("Link"), ">"); ok {
					path = strings.TrimPrefix(target, "<")
				}
			}
			for _, n := range stays {
				if !slices.Contains(got, n) {
					t.Errorf("%s was there all the time and is on no page", n)
				}
			}
			if twice := len(got) - len(slices.Compact(slices.Sorted(slices.Values(got)))); twice > 0 {
				t.Errorf("%d are there twice", twice)
			}
		})
	}
}

func TestFilteredCatalogWithToken(t *testing.T) {
	g := startGateway(t, catalogRealm)
	g.upstream.respond(pagedCatalog([]string{"hidden/a", "team/b", "team/c"}, 1))
	token := g.token("registry:catalog:*", basic("robot-reader", g.robot))
	for scheme, who := range map[string]option{"token": bearer(token), "secret": basic("robot-reader", g.robot)} {
		a := g.do("GET", "/v2/_catalog", "", who)
		if a.StatusCode != 200 || strings.TrimSpace(a.body) != `{"repositories":["team/b","team/c"]}` {
			t.Errorf("%s: %d %s", scheme, a.StatusCode, a.body)
		}
	}
	if a := g.do("GET", "/v2/team/b/tags/list", "", bearer(token)); a.StatusCode != 401 {
		t.Errorf("it is good for a repository: %d %s", a.StatusCode, a.body)
	}
	if a := g.do("GET", "/v2/_catalog", "", bearer(g.token("repository:team/b:pull", basic("robot-reader", g.robot)))); a.StatusCode != 401 {
		t.Errorf("a token for a repository is good for the catalog: %d %s", a.StatusCode, a.body)
	}
}

// Who may not push because nothing can be pushed is told so, whatever the
// token that it could get is good for.
func TestReadOnlyIsNamedToTokens(t *testing.T) {
	g := startGateway(t, standardRealm+"read_only\n")
	robot := basic("robot-ci", g.robot)
	for name, who := range map[string]option{"secret": robot, "token": bearer(g.token("repository:team/app:pull,push", robot))} {
		a := g.do("POST", "/v2/team/app/blobs/uploads/", "", who)
		if a.StatusCode != 403 || a.code() != "DENIED" || !strings.Contains(a.body, "team/app is read-only at the moment: pulling goes on") {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
		if a := g.do("GET", manifest, "", who); a.StatusCode != 200 {
			t.Errorf("%s: pull: %d", name, a.StatusCode)
		}
		if a := g.do("GET", "/v2/", "", who); a.StatusCode != 200 {
			t.Errorf("%s: login: %d", name, a.StatusCode)
		}
	}
	if a := g.do("POST", "/v2/team/app/blobs/uploads/", "", bearer(g.token("repository:team/b:pull", robot))); a.StatusCode != 403 {
		t.Errorf("another repository's token: %d", a.StatusCode)
	}
	if a := g.do("POST", "/v2/team/app/blobs/uploads/", ""); a.StatusCode != 401 {
		t.Errorf("anonymous: %d", a.StatusCode)
	}
}
