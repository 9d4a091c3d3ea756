package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/signature"
)

// upstreamFetcher gets signatures from the registry behind the gateway.
type upstreamFetcher exchange

// Manifest implements [signature.Fetcher]. A manifest that is too large comes
// back without its body.
func (f *upstreamFetcher) Manifest(ctx context.Context, repository, reference string) (body []byte, mediaType string, status int, err error) {
	answer, err := (*exchange)(f).ask(ctx, question{repository: repository, path: "manifests/" + reference, accept: manifestTypes, limit: signature.MaxManifest})
	switch {
	case err != nil:
		return nil, "", 0, fmt.Errorf("%w: %w", errUpstreamSilent, err)
	case answer.status == http.StatusNotFound:
		return nil, "", answer.status, nil
	case answer.status != http.StatusOK:
		return nil, "", answer.status, fmt.Errorf("%w: status %d for manifest %s", errUpstreamSilent, answer.status, reference)
	case answer.cut:
		return nil, "", answer.status, nil
	}
	mediaType, _, err = mime.ParseMediaType(answer.header.Get("Content-Type"))
	if err != nil {
		mediaType = ""
	}
	return answer.body, mediaType, answer.status, nil
}

// Blob implements [signature.Fetcher].
func (f *upstreamFetcher) Blob(ctx context.Context, repository, digest string, limit int) ([]byte, error) {
	answer, err := (*exchange)(f).ask(ctx, question{repository: repository, path: "blobs/" + digest, limit: limit})
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errUpstreamSilent, err)
	case answer.status == http.StatusNotFound || answer.cut:
		return nil, signature.ErrNotFound
	case answer.status/100 == 3:
		return download(ctx, answer.header.Get("Location"), limit)
	case answer.status != http.StatusOK:
		return nil, fmt.Errorf("%w: status %d for blob %s", errUpstreamSilent, answer.status, digest)
	}
	return answer.body, nil
}

// storage is where registries redirect downloads of blobs to.
var storage = &http.Client{
	Timeout: 20 * time.Second,
	CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		if len(via) > 3 {
			return errors.New("too many redirects")
		}
		return nil
	},
}

// download gets a blob from where the registry redirects its clients to,
// without any credential. The URL is signed by itself and stays out of errors.
func download(ctx context.Context, location string, limit int) ([]byte, error) {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("%w: a blob is redirected to no URL", errUpstreamSilent)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: a blob is redirected to no URL", errUpstreamSilent)
	}
	response, err := storage.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w: the storage %s does not answer", errUpstreamSilent, u.Host)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: status %d of the storage %s", errUpstreamSilent, response.StatusCode, u.Host)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("%w: reading from the storage %s", errUpstreamSilent, u.Host)
	}
	if len(content) > limit {
		return nil, signature.ErrNotFound
	}
	return content, nil
}

// maxReferrerPages bounds how long a list of referrers is followed. One page
// may be as large as maxReferrerPage, since registries are free to send all of
// it at once.
const (
	maxReferrerPages = 200
	maxReferrerPage  = 32 << 20
)

// Referrers implements [signature.Fetcher]. Where the registry has no
// referrers API, it looks under the tag that stands in for it.
func (f *upstreamFetcher) Referrers(ctx context.Context, repository, digest string) ([]signature.Descriptor, error) {
	var all []signature.Descriptor
	for query, page := "", 0; ; page++ {
		answer, err := (*exchange)(f).ask(ctx, question{repository: repository, path: "referrers/" + digest, query: query, limit: maxReferrerPage})
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errUpstreamSilent, err)
		case answer.status != http.StatusOK && page == 0 && noReferrersAPI(answer.status):
			return f.referrersByTag(ctx, repository, digest)
		case answer.status != http.StatusOK:
			return nil, fmt.Errorf("%w: status %d for referrers", errUpstreamSilent, answer.status)
		case answer.cut || page == maxReferrerPages:
			return nil, fmt.Errorf("%w: %s has more referrers than are read", errUpstreamSilent, digest)
		}
		list, ok := referrersOf(answer.body)
		if !ok && page == 0 {
			return f.referrersByTag(ctx, repository, digest)
		}
		if !ok {
			return nil, fmt.Errorf("%w: its list of referrers is not JSON", errUpstreamSilent)
		}
		all = append(all, list...)
		next, ok := nextPage(answer.header)
		if !ok || next == query {
			return all, nil
		}
		query = next
	}
}

// noReferrersAPI reports whether a status says that the registry does not know
// the route, and not that it failed or refused.
func noReferrersAPI(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return false
	}
	return status < 500 || status == http.StatusNotImplemented
}

// referrersByTag reads the index that stands in for the referrers API
// (distribution-spec, "Referrers Tag Schema").
func (f *upstreamFetcher) referrersByTag(ctx context.Context, repository, digest string) ([]signature.Descriptor, error) {
	tag := strings.Replace(digest, ":", "-", 1)
	body, _, status, err := f.Manifest(ctx, repository, tag)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusNotFound:
		return nil, nil
	case body == nil:
		return nil, fmt.Errorf("%w: the list under %s has more than %d bytes", errUpstreamSilent, tag, signature.MaxManifest)
	}
	list, _ := referrersOf(body)
	return list, nil
}

func referrersOf(body []byte) ([]signature.Descriptor, bool) {
	var index struct {
		Manifests []signature.Descriptor `json:"manifests"`
	}
	if json.Unmarshal(body, &index) != nil {
		return nil, false
	}
	return index.Manifests, true
}
