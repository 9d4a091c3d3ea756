package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

const (
	// askTimeout bounds all questions to the registry for one request.
	askTimeout = 30 * time.Second
	// maxTagsAsked is how many tags of a repository are looked at to find
	// those that point at a digest.
	maxTagsAsked = 2000
	// maxTagPage is how much of one page of tags is read, in bytes.
	maxTagPage = 4 << 20
)

// manifestTypes are asked for when a tag is looked up: some registries deny
// that a tag exists if its manifest is of a type that was not named.
var manifestTypes = []string{
	"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json",
	"application/vnd.docker.distribution.manifest.v1+prettyjws", "*/*",
}

// errUpstreamSilent: the registry did not say what the decision depends on.
var errUpstreamSilent = answer.RegistrySilent.Err()

// findOut asks the registry what the decision depends on and decides again:
// whether the tags of a push are new, or which tags a deletion by digest would
// take away.
func (x *exchange) findOut(ctx context.Context, query *authz.Query) error {
	switch x.decision.Ask {
	case authz.AskAbsent:
		for _, tag := range x.pushedTags() {
			digest, err := x.resolveTag(ctx, query.Repository, tag)
			if err != nil {
				return err
			}
			if digest != "" {
				return nil // it exists: the refusal stands
			}
		}
		x.absent = true
	case authz.AskTags:
		look := tagLook{x: x, repository: query.Repository, digest: query.Digest}
		err := look.around(ctx)
		if x.concerned = look.concerned; err != nil {
			return err
		}
		if *query = x.decide(); !x.decision.Allowed {
			return nil
		}
		// That took its time. From here on nobody pushes a tag that matters.
		if err := x.hold(ctx, query.Repository, []string{everyTag}); err != nil {
			return err
		}
		err = look.around(ctx)
		if x.concerned = look.concerned; err != nil {
			return err
		}
	case authz.AskNothing:
		return nil
	}
	*query = x.decide()
	return nil
}

// resolveTag returns the digest that a tag points at, "" if there is no such
// tag, and "?" if the registry does not name the digest.
func (x *exchange) resolveTag(ctx context.Context, repository, tag string) (string, error) {
	found, err := x.ask(ctx, question{method: http.MethodHead, repository: repository, path: "manifests/" + tag, accept: manifestTypes})
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: %w", errUpstreamSilent, err)
	case found.status == http.StatusNotFound:
		return "", nil
	case found.status != http.StatusOK:
		return "", fmt.Errorf("%w: status %d for tag %s", errUpstreamSilent, found.status, tag)
	}
	if digest := found.header.Get("Docker-Content-Digest"); digest != "" {
		return digest, nil
	}
	return "?", nil
}

// tagLook finds the tags that the deletion of a digest concerns: those that
// point at it, and immutable ones that need it. A tag whose digest the registry
// does not tell counts as one.
type tagLook struct {
	x                  *exchange
	repository, digest string
	needs              *needs
	concerned          []string        // empty and not nil if there are none
	passed             map[string]bool // tags that were looked at, and may go or stay as they like
}

// around looks at all tags. Another time it looks at those that are new, and
// at those which the deletion must not take along.
func (l *tagLook) around(ctx context.Context) error {
	all, err := l.x.allTags(ctx, l.repository)
	if err != nil {
		return err
	}
	if l.needs == nil {
		l.passed = map[string]bool{}
		l.needs = &needs{digest: l.digest, known: map[string]bool{}, read: func(ctx context.Context, digest string) ([]byte, string, int, error) {
			return (*upstreamFetcher)(l.x).Manifest(ctx, l.repository, digest)
		}}
	}
	l.concerned = make([]string, 0, 4)
	for _, tag := range all {
		if l.passed[tag] {
			continue
		}
		needed, err := l.needed(ctx, tag)
		if err != nil {
			return err
		}
		if needed {
			l.concerned = append(l.concerned, tag)
		} else {
			l.passed[tag] = l.mayGo(tag)
		}
	}
	return nil
}

func (l *tagLook) needed(ctx context.Context, tag string) (bool, error) {
	found, err := l.x.resolveTag(ctx, l.repository, tag)
	switch {
	case err != nil || found == "":
		return false, err
	case found == l.digest || found == "?":
		return true, nil
	case l.x.policy.Protects(l.x.principal, l.repository, tag) == nil:
		return false, nil
	}
	return l.needs.by(ctx, found)
}

// mayGo reports whether the deletion may take a tag along.
func (l *tagLook) mayGo(tag string) bool {
	query := l.x.query(l.x.request.Target(), l.x.request.Action())
	query.Tags = []string{tag}
	d := l.x.policy.Decide(l.x.principal, &query)
	return d.Allowed
}

// allTags reads the tags of a repository, page by page.
func (x *exchange) allTags(ctx context.Context, repository string) ([]string, error) {
	var tags []string
	for query := "n=500"; ; {
		found, err := x.ask(ctx, question{repository: repository, path: "tags/list", query: query, limit: maxTagPage})
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUpstreamSilent, err)
		}
		if found.status == http.StatusNotFound {
			return tags, nil
		}
		if found.status != http.StatusOK || found.cut {
			return nil, fmt.Errorf("%w: status %d for the list of tags", errUpstreamSilent, found.status)
		}
		page, err := tagsIn(found)
		if err != nil {
			return nil, err
		}
		tags = append(tags, page...)
		if len(tags) > maxTagsAsked {
			return nil, fmt.Errorf("delete the tag in place of the digest: the repository has more than %d tags, %w", maxTagsAsked, errTooMuch)
		}
		next, ok := nextPage(found.header)
		if !ok || next == query {
			return tags, nil
		}
		query = next
	}
}

// tagsIn returns the tags of one page.
func tagsIn(found *upstreamAnswer) ([]string, error) {
	var page struct {
		Tags []string `json:"tags"`
	}
	if err := json.Unmarshal(found.body, &page); err != nil {
		return nil, fmt.Errorf("%w: its list of tags is not JSON", errUpstreamSilent)
	}
	return page.Tags, nil
}

// nextPage returns the query of the next page of a list (distribution-spec,
// "Listing Tags": a Link header with rel="next").
func nextPage(h http.Header) (query string, ok bool) {
	for _, link := range h.Values("Link") {
		target, parameters, found := strings.Cut(link, ">")
		if !found || !strings.Contains(strings.ReplaceAll(parameters, " ", ""), `rel="next"`) {
			continue
		}
		u, err := url.Parse(strings.TrimPrefix(strings.TrimSpace(target), "<"))
		if err == nil {
			return u.RawQuery, true
		}
	}
	return "", false
}
