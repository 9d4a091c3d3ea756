package registryauth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
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
