package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

// The head of a request can be minutes ahead of its body, and questions to the
// registry take their time. What changes something is therefore decided again
// when nobody but the registry can delay it any more, by the same code.

// settle brings the decision about a change to its end: it takes the tags of a
// push on which the rights of others depend, asks the registry what the
// decision depends on, and looks again at who sends the request and at the
// rules in force.
func (x *exchange) settle(query *authz.Query) error {
	ctx, cancel := context.WithTimeout(x.r.Context(), askTimeout)
	defer cancel()
	const looks = 5 // the rules change rarely
	for range looks {
		by := x.policy
		if err := x.takeTurn(ctx); err != nil {
			return err
		}
		if err := x.findOut(ctx, query); err != nil || !x.decision.Allowed {
			return err
		}
		if err := x.claim(ctx); err != nil || !x.decision.Allowed {
			return err
		}
		policy, err := x.stillGood()
		if err != nil {
			return &endedError{err}
		}
		x.policy, x.at = policy, time.Now()
		if *query = x.decide(); policy == by {
			return nil
		}
	}
	return fmt.Errorf("%w: the rules change all the time", answer.StoreAway.Err())
}

// endedError is why somebody who was authenticated may not go on.
type endedError struct{ err error }

func (e *endedError) Error() string { return e.err.Error() }

// stillGood looks at the principal once more: it may have been disabled, revoked
// or replaced since it was authenticated, or have expired by more than it may.
// It returns the policy that is in force now.
func (x *exchange) stillGood() (*authz.Policy, error) {
	policy, p := x.front.Policy(), x.principal
	if !p.Expires.IsZero() {
		grace := keys.Leeway
		if x.request.Route == authz.RouteUpload || x.request.Route == authz.RouteUploads {
			grace = max(grace, x.front.Grace)
		}
		if !time.Now().Before(p.Expires.Add(grace)) {
			return nil, fmt.Errorf("%w while the request was under way", authn.ErrExpired)
		}
	}
	if err := x.front.Chain.Recheck(p, x.credential); err != nil {
		return nil, err
	}
	return policy, x.front.State.Check(p)
}

// pushedTags are the tags that a push sets.
func (x *exchange) pushedTags() []string {
	tags := slices.Clone(x.request.Tags)
	if tag := x.request.Tag(); tag != "" {
		tags = append(tags, tag)
	}
	return tags
}

// everyTag stands for all tags of a repository on which the deletion of a digest
// can depend. It comes before each of them.
const everyTag = ""

// takeTurn takes the tags of a push, unless it has them, where the right of
// somebody to push or to delete depends on them.
func (x *exchange) takeTurn(ctx context.Context) error {
	if !x.pushesManifest() || !x.decision.Allowed && x.decision.Ask != authz.AskAbsent {
		return nil
	}
	repository := x.request.Repository
	var wanted []string
	for _, tag := range x.pushedTags() {
		absence, deletion := x.policy.Contested(repository, tag)
		if absence || x.decision.Ask == authz.AskAbsent {
			wanted = append(wanted, tag)
		}
		if deletion {
			wanted = append(wanted, everyTag)
		}
	}
	return x.hold(ctx, repository, wanted)
}

// hold is what a request holds of a repository until it is through.
type hold struct {
	tags   []string
	leased *leasedTags
	unlock func()
}

func (h *hold) release() {
	h.leased.release()
	h.unlock()
}

// errTagBusy: somebody else is pushing the tag.
var errTagBusy = answer.TagBusy.Err()

// hold takes tags until the request is through: first from the other requests
// of this gateway, then from other gateways.
func (x *exchange) hold(ctx context.Context, repository string, tags []string) error {
	lacks := func(tag string) bool { return x.held == nil || !slices.Contains(x.held.tags, tag) }
	if !slices.ContainsFunc(tags, lacks) {
		return nil
	}
	if x.held != nil { // the rules have changed: in the right order, from the beginning
		x.held.release()
		x.held, x.absent = nil, false
		x.decide()
	}
	unlock, err := x.front.Locks.lock(ctx, repository, tags)
	if err != nil {
		return fmt.Errorf("%w: %w", errTagBusy, err)
	}
	leased, err := x.front.Leases.hold(ctx, x.r.Context(), repository, tags)
	if errors.Is(err, store.ErrUnavailable) && x.decision.Allowed && x.pushesManifest() {
		// The right of this one depends on nothing, and who needs the tag to
		// be new does not get it without the store, either.
		leased, err = (*TagLeases)(nil).hold(ctx, x.r.Context(), repository, tags)
	}
	if err != nil {
		unlock()
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w: %w", errTagBusy, err)
		}
		return err
	}
	x.r = x.r.WithContext(leased.push)
	x.held = &hold{tags: tags, leased: leased, unlock: unlock}
	return nil
}

// lookEvery is how often the sender of a body is looked at while it comes.
const lookEvery = time.Second

// watched prepares the body of a change for its way to the registry. A
// manifest was read before, and is only sent while its tags are held. Any other
// body comes from the client as it is sent on, which ends when its sender may
// not go on. It returns why it has ended, nil if it has not.
func (x *exchange) watched() (ended func() error) {
	none := func() error { return nil }
	if !x.request.Write() || x.r.Body == nil || x.r.Body == http.NoBody {
		return none
	}
	if x.r.Method == http.MethodDelete && x.request.Route != authz.RouteExtension {
		// It says nothing, and must not keep the deletion from being sent.
		x.r.Body, x.r.ContentLength, x.r.TransferEncoding = http.NoBody, 0, nil
		return none
	}
	b := &watchedBody{ReadCloser: x.r.Body, left: x.r.ContentLength, looked: time.Now()}
	switch {
	case !x.pushesManifest():
		b.look = x.lookAgain
	case x.held != nil:
		b.look, b.always = x.held.leased.check, true
	default:
		return none
	}
	x.r.Body = b
	return b.why
}

// lookAgain returns why a request may not go on that is under way. It is called
// beside the one who serves the request, and changes nothing of it.
func (x *exchange) lookAgain() error {
	policy, err := x.stillGood()
	if err != nil {
		return &endedError{err}
	}
	query := x.query(x.request.Target(), x.request.Action())
	query.Time = time.Now()
	if d := policy.Decide(x.principal, &query); !d.Allowed {
		return &refusedError{d}
	}
	return nil
}

// refusedError is why something that was allowed is not any more.
type refusedError struct{ decision authz.Decision }

func (e *refusedError) Error() string { return e.decision.Reason() }

// watchedBody is a body that ends with an error when look says so: before its
// last piece is handed on, and now and then before that.
type watchedBody struct {
	io.ReadCloser
	look   func() error
	always bool  // and not now and then
	left   int64 // -1: not known
	looked time.Time
	ended  atomic.Pointer[error]
}

func (b *watchedBody) Read(p []byte) (int, error) {
	if err := b.why(); err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	if b.left > 0 {
		b.left -= int64(n)
	}
	if b.always || err != nil || b.left == 0 || time.Since(b.looked) >= lookEvery {
		b.looked = time.Now()
		if ended := b.look(); ended != nil {
			b.ended.Store(&ended)
			return 0, ended
		}
	}
	return n, err
}

func (b *watchedBody) why() error {
	if err := b.ended.Load(); err != nil {
		return *err
	}
	return nil
}
