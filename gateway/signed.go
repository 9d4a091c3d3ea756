package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/signature"
)

// errNoManifest: the registry has no such manifest.
var errNoManifest = errors.New("no such manifest")

// signatureRules returns the rules that a pull must satisfy beyond being
// allowed, none for everything that is not a pull of a manifest.
func (x *exchange) signatureRules() []*authz.SignatureRule {
	if x.request.Route != authz.RouteManifest || x.request.Write() {
		return nil
	}
	rules := x.policy.Signatures(x.request.Repository)
	if len(rules) == 0 || x.maySign() {
		return nil
	}
	return rules
}

// maySign reports whether the principal may push to the repository. Such a
// one must be able to read what is not signed yet, in order to sign it. A
// registry token for pulling says nothing about that: clients get one for each
// step, so what counts is what the principal itself may do.
func (x *exchange) maySign() bool {
	query := x.query(x.request.Target(), authz.Push)
	query.Tag, query.Tags, query.Digest = "", noTags, ""
	return x.policy.Decide(x.principal.Unscoped(), &query).Allowed
}

// serveSigned answers the pull of a manifest that must be signed. The request
// goes on by the digest that was verified: the tag may have moved since.
func (x *exchange) serveSigned(rules []*authz.SignatureRule) error {
	ctx, cancel := context.WithTimeout(x.r.Context(), askTimeout)
	defer cancel()
	digest, err := x.signedDigest(ctx)
	for i := 0; err == nil && i < len(rules); i++ {
		if err = x.verify(ctx, rules[i], digest); err != nil {
			err = fmt.Errorf("require signature (%s): %w", rules[i].Source, err)
		}
	}
	switch {
	case err == nil:
		x.request.Path = "/v2/" + x.request.Repository + "/manifests/" + digest
		return x.forward()
	case errors.Is(err, errNoManifest):
		return x.refuse(outcomeAllowed, http.StatusNotFound, answer.CodeManifestUnknown, "the registry has no such manifest", err.Error())
	case errors.Is(err, signature.ErrUnsigned), errors.Is(err, signature.ErrUntrusted):
		x.decision.Allowed = false
		message := x.request.Repository + "@" + digest + " has no valid signature of the keys configured for it"
		return x.refuse(outcomeDenied, http.StatusPreconditionFailed, answer.CodeDenied, message, err.Error())
	}
	return x.refuseAs(answer.RegistrySilent.Of(), err)
}

// signedDigest returns the digest of the manifest that is asked for.
func (x *exchange) signedDigest(ctx context.Context) (string, error) {
	if digest := x.request.Digest(); digest != "" {
		if !signature.ValidDigest(digest) {
			return digest, fmt.Errorf("%w: only SHA-256 digests can be signed", signature.ErrUnsigned)
		}
		return digest, nil
	}
	digest, err := x.resolveTag(ctx, x.request.Repository, x.request.Reference)
	switch {
	case err != nil:
		return "", err
	case digest == "":
		return "", errNoManifest
	case signature.ValidDigest(digest):
		return digest, nil
	}
	// The registry names no digest, or one of another kind.
	body, _, err := x.manifest(ctx, x.request.Reference)
	if err != nil {
		return "", err
	}
	return signature.Digest(body), nil
}

// manifest gets a manifest of the repository from the registry.
func (x *exchange) manifest(ctx context.Context, reference string) (body []byte, mediaType string, err error) {
	body, mediaType, status, err := (*upstreamFetcher)(x).Manifest(ctx, x.request.Repository, reference)
	switch {
	case err != nil:
		return nil, "", err
	case status == http.StatusNotFound:
		return nil, "", errNoManifest
	case body == nil:
		return nil, "", fmt.Errorf("%w: a manifest of more than %d bytes", errUpstreamSilent, signature.MaxManifest)
	}
	return body, mediaType, nil
}

// verify returns nil if a manifest satisfies a rule. It looks on behalf of
// all who wait for the same verdict, so it does not end with this client.
func (x *exchange) verify(ctx context.Context, rule *authz.SignatureRule, digest string) error {
	verifier := x.front.Verifiers.of(rule)
	// A tag under which clients look for referrers is an index of them, and
	// each of those is looked at when it is pulled.
	index := signature.ReferrersTag(x.request.Tag())
	key := x.verdictKey(verifier, digest)
	if index {
		key = sha256.Sum256(append(key[:], "referrers"...))
	}
	return x.front.Verdicts.of(ctx, key, func(listed bool) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
		defer cancel()
		return x.look(ctx, verifier, digest, listed, index)
	})
}

func (x *exchange) verdictKey(v *signature.Verifier, digest string) verdictKey {
	id := v.ID()
	return sha256.Sum256([]byte(string(id[:]) + x.request.Repository + "@" + digest))
}

// find looks for a signature, first where one was found before.
func (x *exchange) find(ctx context.Context, v *signature.Verifier, digest string) error {
	key := x.verdictKey(v, digest)
	where, err := v.Verify(ctx, (*upstreamFetcher)(x), x.request.Repository, digest, x.front.Verdicts.place(key))
	if err == nil {
		x.front.Verdicts.found(key, where)
	}
	return err
}

// look asks the registry whether a manifest may be pulled: it is signed,
// listed in an index that is, or is itself a signature or a list of them.
func (x *exchange) look(ctx context.Context, v *signature.Verifier, digest string, listed, index bool) error {
	body, mediaType, err := x.manifest(ctx, digest)
	if err != nil {
		return err
	}
	if signature.Digest(body) != digest {
		return fmt.Errorf("%w: it has something else under %s", errUpstreamSilent, digest)
	}
	if !listed {
		err = x.find(ctx, v, digest)
	}
	switch {
	case err == nil:
		children := signature.Children(body, mediaType)
		keys := make([]verdictKey, len(children))
		for i, child := range children {
			keys[i] = x.verdictKey(v, child)
		}
		x.front.Verdicts.list(keys)
		return nil
	case !errors.Is(err, signature.ErrUnsigned) && !errors.Is(err, signature.ErrUntrusted):
		return err
	case index && signature.IsIndex(mediaType):
		return nil
	}
	exempt, failed := signature.Accessory(ctx, (*upstreamFetcher)(x), x.request.Repository, body, mediaType)
	if failed != nil {
		return failed
	}
	if exempt {
		return nil
	}
	return err
}
