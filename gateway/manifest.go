package gateway

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/signature"
)

// errManifestTooLarge: no registry has to take it (distribution-spec, "Pushing
// Manifests": at least 4 megabytes).
var errManifestTooLarge = errors.New("the manifest has more than 4 MiB")

// pushesManifest reports whether the request is the push of a manifest.
func (x *exchange) pushesManifest() bool {
	return x.request.Route == authz.RouteManifest && x.r.Method == http.MethodPut
}

// arrive reads the manifest that is pushed, so that its sender can delay
// nothing from here on: what holds for the push is decided, and its tags are
// held, when only the registry is waited for. Who may not push is not read.
func (x *exchange) arrive() error {
	if !x.pushesManifest() {
		return nil
	}
	x.decide()
	if !x.decision.Allowed && x.decision.Ask == authz.AskNothing {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(x.r.Body, signature.MaxManifest+1))
	switch {
	case err != nil:
		return err
	case len(body) > signature.MaxManifest:
		return errManifestTooLarge
	}
	x.r.Body, x.r.ContentLength = &manifestBody{bytes.NewReader(body)}, int64(len(body))
	x.r.TransferEncoding = nil
	return nil
}

// manifestBody is a manifest that was read.
type manifestBody struct{ *bytes.Reader }

// Close implements [io.Closer].
func (*manifestBody) Close() error { return nil }

// refuseManifest answers a manifest that did not arrive.
func (x *exchange) refuseManifest(err error) error {
	if errors.Is(err, errManifestTooLarge) {
		return x.refuse(outcomeMalformed, http.StatusRequestEntityTooLarge, answer.CodeManifestInvalid, err.Error(), err.Error())
	}
	return x.refuse(outcomeMalformed, http.StatusBadRequest, answer.CodeManifestInvalid, "the manifest did not arrive", err.Error())
}
