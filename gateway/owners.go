package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// claim makes the principal of a push the owner of what has none yet, if rules
// depend on owners. It is done before the push is forwarded, so that of two
// first pushes one is refused, and taken back if the push fails.
func (x *exchange) claim(ctx context.Context) error {
	if !x.pushesManifest() {
		return nil
	}
	repository := x.request.Repository
	by, creator := x.policy.Owned(repository)
	var missing []authz.OwnedBy
	for _, kind := range by {
		if x.front.State.Owner(kind, kind.Of(repository)) == nil {
			missing = append(missing, kind)
		}
	}
	switch {
	case len(by) == 0:
		return nil
	case len(missing) == 0:
		// Somebody may have become the owner since the decision.
		x.decide()
		return nil
	}
	created := false
	if creator {
		tags, err := x.someTags(ctx, repository)
		if err != nil {
			return err
		}
		created = !tags
	}
	claimed, err := x.front.State.Claim(ctx, x.principal, repository, missing, created)
	if err != nil && !errors.Is(err, state.ErrOwned) {
		return fmt.Errorf("recording the owner: %w", err)
	}
	x.claimed = claimed
	if errors.Is(err, state.ErrOwned) {
		// Somebody was faster; another gateway's claim is here within a second.
		if err := x.awaitOwners(ctx, by); err != nil {
			return err
		}
	}
	x.decide()
	return nil
}

// awaitOwners waits until what is owned has its owners.
func (x *exchange) awaitOwners(ctx context.Context, by []authz.OwnedBy) error {
	repository := x.request.Repository
	for _, kind := range by {
		for x.front.State.Owner(kind, kind.Of(repository)) == nil {
			select {
			case <-ctx.Done():
				return fmt.Errorf("%w: waiting for who owns %s: %w", answer.StoreAway.Err(), repository, ctx.Err())
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

// settleClaim confirms what was claimed once the registry has taken the push,
// or gives it back.
func (x *exchange) settleClaim(pushed bool) {
	if x.claimed == nil {
		return
	}
	claimed := x.claimed
	x.claimed = nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), 5*time.Second)
	defer cancel()
	if err := x.front.State.Settle(ctx, x.principal, claimed, pushed); err != nil {
		x.front.Log.Error("recording who owns a repository", zap.String("realm", x.front.Realm), zap.String("repository", x.request.Repository), zap.Error(err))
	}
}

// someTags reports whether the registry has any tag of a repository.
func (x *exchange) someTags(ctx context.Context, repository string) (bool, error) {
	found, err := x.ask(ctx, question{repository: repository, path: "tags/list", query: "n=1", limit: maxTagPage})
	switch {
	case err != nil:
		return false, fmt.Errorf("%w: %w", errUpstreamSilent, err)
	case found.status == http.StatusNotFound:
		return false, nil
	case found.status != http.StatusOK:
		return false, fmt.Errorf("%w: status %d for the list of tags", errUpstreamSilent, found.status)
	}
	tags, err := tagsIn(found)
	return len(tags) > 0, err
}
