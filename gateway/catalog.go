package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

const (
	// catalogPage is how many names the registry is asked for at a time.
	catalogPage = 1000
	// catalogDefault and catalogMax are how many names a client gets on one
	// page if it does not say, and at most.
	catalogDefault = 100
	catalogMax     = 1000
	// catalogPages bounds the pages of the registry that one request looks
	// through: a client that may see little gets short pages with a link on.
	catalogPages = 20
	// maxCatalogPage is how much of one page is read, in bytes.
	maxCatalogPage = 4 << 20
	// cursorMark begins the `last` of our own links. No repository does.
	cursorMark = "~"
)

// cursor is where a filtered catalog goes on: in which page of the registry,
// and after which of its names. It is sealed, since that name may be one that
// the client must not see.
type cursor struct {
	Query string `json:"q"`
	After string `json:"a,omitempty"`
}

// rest returns the names of a page that come after the cursor's. That one may
// have been deleted since, and others made.
func (c cursor) rest(page []string) []string {
	if c.After == "" {
		return page
	}
	if i := slices.Index(page, c.After); i >= 0 {
		return page[i+1:]
	}
	for _, compare := range []func(a, b string) int{strings.Compare, comparePaths} {
		if slices.IsSortedFunc(page, compare) {
			i, _ := slices.BinarySearchFunc(page, c.After, compare)
			return page[i:]
		}
	}
	return page // better twice than not at all
}

// comparePaths is the order of registries that walk a tree of directories.
func comparePaths(a, b string) int {
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}

var errCursor = errors.New("last is not a link of this gateway's, or too old: start again without it")

// serveCatalog answers with the repositories that the principal may list, from
// as many of the registry's pages as it takes, in the registry's order.
func (x *exchange) serveCatalog() error {
	query, err := url.ParseQuery(x.request.RawQuery)
	if err != nil {
		return x.refuse(outcomeMalformed, http.StatusBadRequest, "UNSUPPORTED", "the query cannot be read", err.Error())
	}
	want := catalogDefault
	if n, err := strconv.Atoi(query.Get("n")); err == nil && n > 0 {
		want = min(n, catalogMax)
	}
	at, err := x.cursor(query.Get("last"))
	if err != nil {
		return x.refuse(outcomeMalformed, http.StatusBadRequest, "PAGINATION_NUMBER_INVALID", err.Error(), err.Error())
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), askTimeout)
	defer cancel()
	names, next, err := x.visible(ctx, at, want)
	if err != nil {
		if a := answerOf(err); a.Kind == answer.RegistryLogin || a.Kind == answer.RegistryToken {
			return x.refuseAs(a, err)
		}
		x.w.Header().Set("Retry-After", "5")
		return x.refuse(outcomeUnavailable, http.StatusServiceUnavailable, "UNAVAILABLE", "the registry did not give its catalog: try again", err.Error())
	}
	x.record(outcomeAllowed, http.StatusOK, "")
	return x.writeCatalog(names, next, want)
}

// cursor reads a client's `last`: a link of ours, or a name of its own choice.
func (x *exchange) cursor(last string) (cursor, error) {
	at := cursor{Query: "n=" + strconv.Itoa(catalogPage)}
	sealed, ours := strings.CutPrefix(last, cursorMark)
	switch {
	case last == "":
	case !ours:
		at.Query += "&last=" + url.QueryEscape(last)
	default:
		value, ok := x.front.Keys.Open("catalog", sealed)
		if !ok || json.Unmarshal(value, &at) != nil {
			return at, errCursor
		}
	}
	return at, nil
}

// visible collects up to want names, beginning at a cursor, and returns where
// to go on, nil if that was all.
func (x *exchange) visible(ctx context.Context, at cursor, want int) (names []string, next *cursor, err error) {
	// A token for the catalog is good for no repository: what counts is what
	// its holder may list.
	subject := x.policy.Resolve(x.principal.Unscoped())
	seen := map[string]bool{}
	for range catalogPages {
		page, following, err := x.catalogPage(ctx, at.Query)
		if err != nil {
			return nil, nil, err
		}
		for _, name := range at.rest(page) {
			query := x.query(authz.Access{Type: authz.TypeRepository, Name: name}, authz.List)
			shown := !seen[name] && authz.ValidName(name) && x.policy.DecideFor(subject, &query).Allowed
			if shown && len(names) == want {
				return names, &at, nil
			}
			if at.After = name; shown {
				seen[name] = true
				names = append(names, name)
			}
		}
		if following == "" || following == at.Query {
			return names, nil, nil
		}
		at = cursor{Query: following}
	}
	return names, &at, nil
}

// catalogPage asks the registry for one page. A registry that does not give
// pages as large as we ask for is asked for smaller ones.
func (x *exchange) catalogPage(ctx context.Context, query string) (names []string, next string, err error) {
	answer, err := x.ask(ctx, question{path: "_catalog", query: query, limit: maxCatalogPage})
	if err == nil && answer.status == http.StatusBadRequest && strings.HasPrefix(query, "n=1000") {
		answer, err = x.ask(ctx, question{path: "_catalog", query: strings.Replace(query, "n=1000", "n=100", 1), limit: maxCatalogPage})
	}
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("%w: %w", errUpstreamSilent, err)
	case answer.status != http.StatusOK || answer.cut:
		return nil, "", fmt.Errorf("%w: status %d for the catalog", errUpstreamSilent, answer.status)
	}
	var page struct {
		Repositories []string `json:"repositories"`
	}
	if err := json.Unmarshal(answer.body, &page); err != nil {
		return nil, "", fmt.Errorf("%w: its catalog is not JSON", errUpstreamSilent)
	}
	next, _ = nextPage(answer.header)
	return page.Repositories, next, nil
}

func (x *exchange) writeCatalog(names []string, next *cursor, n int) error {
	h := x.w.Header()
	if next != nil {
		value, err := json.Marshal(next)
		if err != nil {
			return err
		}
		sealed, err := x.front.Keys.Seal("catalog", value)
		if err != nil {
			return err
		}
		h.Set("Link", fmt.Sprintf(`</v2/_catalog?last=%s&n=%d>; rel="next"`, cursorMark+sealed, n))
	}
	if names == nil {
		names = []string{}
	}
	body, err := json.Marshal(map[string][]string{"repositories": names})
	if err != nil {
		return err
	}
	keepPrivate(h) // it has what this caller may see
	h.Set("Docker-Distribution-Api-Version", "registry/2.0")
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(http.StatusOK)
	if x.r.Method != http.MethodHead {
		_, _ = x.w.Write(body) // the client went away: nobody to tell
	}
	return nil
}
