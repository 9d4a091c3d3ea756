package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
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

// settle finds out from the registry what the decision depends on and decides
// again: whether the tags of a push are new, or which tags a deletion by
// digest would take away. A push holds its tags until it is through.
func (x *exchange) settle(query *authz.Query) error {
	ctx, cancel := context.WithTimeout(x.r.Context(), askTimeout)
	defer cancel()
	switch x.decision.Ask {
	case authz.AskAbsent:
		tags := slices.Clone(query.Tags)
		if query.Tag != "" {
			tags = append(tags, query.Tag)
		}
		if err := x.hold(ctx, query.Repository, tags); err != nil {
			return err
		}
		for _, tag := range tags {
			digest, err := x.resolveTag(ctx, query.Repository, tag)
			if err != nil {
				return err
			}
			if digest != "" {
				return nil // it exists: the refusal stands
			}
		}
		query.Absent, x.absent = true, true
	case authz.AskTags:
		tags, err := x.tagsOf(ctx, query.Repository, query.Digest)
		if err != nil {
			return err
		}
		query.Tags = tags
	case authz.AskNothing:
		return nil
	}
	x.decision = x.policy.Decide(x.principal, query)
	return nil
}

// errTagBusy: somebody else is pushing the tag.
var errTagBusy = answer.TagBusy.Err()

// hold takes the tags of a push until it is through: first from the other
// requests of this gateway, then from other gateways.
func (x *exchange) hold(ctx context.Context, repository string, tags []string) error {
	unlock, err := x.front.Locks.lock(ctx, repository, tags)
	if err != nil {
		return fmt.Errorf("%w: %w", errTagBusy, err)
	}
	held, release, err := x.front.Leases.hold(ctx, x.r.Context(), repository, tags)
	if err != nil {
		unlock()
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w: %w", errTagBusy, err)
		}
		return err
	}
	x.r = x.r.WithContext(held)
	x.unlock = func() {
		release()
		unlock()
	}
	return nil
}

// resolveTag returns the digest that a tag points at, "" if there is no such
// tag, and "?" if the registry does not name the digest.
func (x *exchange) resolveTag(ctx context.Context, repository, tag string) (string, error) {
	found, err := x.ask(ctx, http.MethodHead, "/v2/"+repository+"/manifests/"+tag, "", manifestTypes, 0)
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

// tagsOf returns the tags that the deletion of a digest concerns, empty and
// not nil if there are none: those that point at it, and immutable ones that
// need it. A tag whose digest the registry does not tell counts as one.
func (x *exchange) tagsOf(ctx context.Context, repository, digest string) ([]string, error) {
	all, err := x.allTags(ctx, repository)
	if err != nil {
		return nil, err
	}
	needs := needs{digest: digest, known: map[string]bool{}, read: func(ctx context.Context, digest string) ([]byte, string, int, error) {
		return (*upstreamFetcher)(x).Manifest(ctx, repository, digest)
	}}
	concerned := make([]string, 0, 4)
	for _, tag := range all {
		found, err := x.resolveTag(ctx, repository, tag)
		if err != nil {
			return nil, err
		}
		needed := found == digest || found == "?"
		if !needed && found != "" && x.policy.Protects(x.principal, repository, tag) != nil {
			if needed, err = needs.by(ctx, found); err != nil {
				return nil, err
			}
		}
		if needed {
			concerned = append(concerned, tag)
		}
	}
	return concerned, nil
}

// allTags reads the tags of a repository, page by page.
func (x *exchange) allTags(ctx context.Context, repository string) ([]string, error) {
	var tags []string
	for query := "n=500"; ; {
		found, err := x.ask(ctx, http.MethodGet, "/v2/"+repository+"/tags/list", query, nil, maxTagPage)
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
