package clients

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// TestCatalog reads the catalog as two people, over more than three of the
// registry's pages: with crane, which comes with a token, and with credentials
// of one's own, following links. Both see all that they may list, and no link
// tells a name that they may not see.
func TestCatalog(t *testing.T) {
	process.Need(t, "crane", "curl")
	s := policyStage(t)
	image, err := upstream.NewImage("content.txt", []byte("the same everywhere"))
	if err != nil {
		t.Fatal(err)
	}
	const each = 110
	for i := range each {
		for _, project := range []string{"team-a", "team-b", "zz-hidden"} {
			if err := s.Direct.Push(t.Context(), fmt.Sprintf("%s/r%03d", project, i), "x", image); err != nil {
				t.Fatal(err)
			}
		}
	}
	for who, project := range map[string]string{"bob": "team-a", "carol": "team-b"} {
		mark := s.Recorder.Mark()
		byToken := craneCatalog(t, s, who)
		pages := slices.DeleteFunc(s.Recorder.Since(mark), func(q upstream.Request) bool { return q.Path != "/v2/_catalog" })
		if len(pages) < 4 { // one is refused for its size
			t.Errorf("%s: the registry was asked for %d pages", who, len(pages))
		}
		var own int
		for _, name := range byToken {
			first, _, _ := strings.Cut(name, "/")
			switch {
			case first == project && strings.HasPrefix(name, project+"/r"):
				own++
			case first == "team-a" && who == "carol", first == "team-b" && who == "bob", first == "zz-hidden":
				t.Errorf("%s sees %s", who, name)
			}
		}
		if own != each {
			t.Errorf("%s sees %d of the %d repositories of %s", who, own, each, project)
		}
		if direct := linkedCatalog(t, s, who); !slices.Equal(direct, byToken) {
			t.Errorf("%s: %d names with credentials, %d with a token", who, len(direct), len(byToken))
		}
	}
	// Who may list nothing at all but what is public sees that only.
	sh := newShell(t, s)
	out, err := sh.run("curl", "-sS", s.URL+"/v2/_catalog")
	if err != nil || !strings.Contains(out, "UNAUTHORIZED") && strings.Contains(out, "team") {
		t.Errorf("anonymous: %s %v", out, err)
	}
}

func craneCatalog(t *testing.T, s *stage.Stage, who string) []string {
	t.Helper()
	client := newShell(t, s)
	password, err := s.Password(who)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.pipe(password, "crane", "auth", "login", client.addr, "--username", who, "--password-stdin"); err != nil {
		t.Fatal(err)
	}
	out, err := client.run("crane", "catalog", "--insecure", client.addr)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(out)
}

// linkedCatalog follows the links with the credentials of a person.
func linkedCatalog(t *testing.T, s *stage.Stage, who string) []string {
	t.Helper()
	password, err := s.Password(who)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for target := s.URL + "/v2/_catalog?n=37"; target != ""; {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(who, password)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		var page struct{ Repositories []string }
		if err != nil || res.StatusCode != http.StatusOK || json.Unmarshal(body, &page) != nil || len(page.Repositories) > 37 {
			t.Fatalf("%s: %d %s %v", target, res.StatusCode, body, err)
		}
		names = append(names, page.Repositories...)
		link := res.Header.Get("Link")
		if strings.Contains(link, "team-") || strings.Contains(link, "hidden") || strings.Contains(link, "other") {
			t.Errorf("the link names a repository: %s", link)
		}
		target = ""
		if next, _, ok := strings.Cut(strings.TrimPrefix(link, "<"), ">"); ok {
			u, err := url.Parse(next)
			if err != nil {
				t.Fatal(err)
			}
			target = s.URL + u.RequestURI()
		}
	}
	return names
}
