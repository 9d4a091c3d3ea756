package registryauth

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// livePolicy is the policy in force: what is declared with what is stored.
type livePolicy struct {
	declared authz.Config
	config   management.Config
	current  atomic.Pointer[authz.Policy]
	changed  chan struct{} // has one entry if it is to be made anew
	logger   *zap.Logger
}

// newLivePolicy compiles the declared part, which is what is in force until
// the state is there.
func newLivePolicy(declared authz.Config, config management.Config, logger *zap.Logger) (*livePolicy, error) {
	policy, err := authz.Compile(declared)
	if err != nil {
		return nil, err
	}
	p := &livePolicy{declared: declared, config: config, changed: make(chan struct{}, 1), logger: logger}
	p.current.Store(policy)
	return p, nil
}

// load returns the policy as it is now. A request uses the same one from its
// beginning to its end.
func (p *livePolicy) load() *authz.Policy { return p.current.Load() }

// touch makes the policy anew, soon and in the background.
func (p *livePolicy) touch() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// settle is how long changes are gathered: an import of ten thousand role
// mappings makes a few policies and not ten thousand.
const settle = 50 * time.Millisecond

// follow makes the policy anew whenever what is stored changes.
func (p *livePolicy) follow(ctx context.Context, s *state.State) {
	cancel := s.OnPolicy(p.touch)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
		}
		p.compile(s)
		select {
		case <-ctx.Done():
			return
		case <-time.After(settle):
		}
	}
}

// compile puts the policy of what is declared and stored in force. What is
// stored and cannot be compiled is left out and logged: it must neither keep
// the rest from working nor, being a grant, from being withdrawn.
func (p *livePolicy) compile(s *state.State) {
	records := management.PolicyRecords(s, p.declared, p.config)
	for _, problem := range records.Problems {
		p.logger.Error("a stored rule cannot be used and is left out", zap.Error(problem))
	}
	policy, err := authz.Compile(records.Add(p.declared))
	if err != nil {
		p.logger.Error("what is stored does not make a policy: the one before stays in force", zap.Error(err))
		return
	}
	p.current.Store(policy.With(s))
}

// Allowed implements the token endpoint's question.
func (p *livePolicy) Allowed(principal *authn.Principal, q *authz.Query) authz.Action {
	return p.load().Allowed(principal, q)
}

// Relevant implements the token endpoint's question.
func (p *livePolicy) Relevant(principal *authn.Principal) *authn.Principal {
	return p.load().Relevant(principal)
}
