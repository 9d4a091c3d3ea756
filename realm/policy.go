package realm

import (
	"context"
	"sync"
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
	names    management.Declared // which the store cannot have
	config   management.Config
	current  atomic.Pointer[authz.Policy]
	changed  chan struct{} // has one entry if it is to be compiled again
	wanted   atomic.Uint64 // how often that was said
	logger   *zap.Logger

	mu   sync.Mutex
	made uint64        // of wanted, what current is made with
	next chan struct{} // closed when made grows
}

// newLivePolicy compiles the declared part, which is what is in force until
// the state is there.
func newLivePolicy(declared authz.Config, config management.Config, logger *zap.Logger) (*livePolicy, error) {
	policy, err := authz.Compile(declared)
	if err != nil {
		return nil, err
	}
	p := &livePolicy{declared: declared, config: config, changed: make(chan struct{}, 1), next: make(chan struct{}), logger: logger}
	p.current.Store(policy)
	return p, nil
}

// load returns the policy as it is now. A request uses the same one from its
// beginning to its end.
func (p *livePolicy) load() *authz.Policy { return p.current.Load() }

// touch schedules a recompile of the policy in the background.
func (p *livePolicy) touch() {
	p.wanted.Add(1)
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// settle is how long changes are gathered at most: where a policy takes long
// to be made, making it never takes more than a part of the time.
const settle = 50 * time.Millisecond

// maxInForce is how long a change waits at most to be in force here.
const maxInForce = time.Second

// inForce waits until all that was changed before is in force, so that whoever
// is told that a change was made finds it made.
func (p *livePolicy) inForce(ctx context.Context) {
	wanted := p.wanted.Load()
	limit := time.NewTimer(maxInForce)
	defer limit.Stop()
	for {
		p.mu.Lock()
		made, next := p.made, p.next
		p.mu.Unlock()
		if made >= wanted {
			return
		}
		select {
		case <-next:
		case <-limit.C:
			return // the gateway is being reloaded, or very busy
		case <-ctx.Done():
			return
		}
	}
}

// start makes the policy of what is stored, and compiles it again whenever that
// changes, until ctx is done.
func (p *livePolicy) start(ctx context.Context, s *state.State) {
	cancel := s.OnPolicy(p.touch) // before it is read, so that no change is missed
	p.compile(s)
	go func() {
		defer cancel()
		p.follow(ctx, s)
	}()
}

func (p *livePolicy) follow(ctx context.Context, s *state.State) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
		}
		start := time.Now()
		p.compile(s)
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(settle, 3*time.Since(start))):
		}
	}
}

// compile puts the policy of what is declared and stored in force. What is
// stored and cannot be compiled is left out and logged: it must neither keep
// the rest from working nor, being a grant, from being withdrawn.
func (p *livePolicy) compile(s *state.State) {
	defer p.compiled(p.wanted.Load())
	records := management.PolicyRecords(s, p.declared, p.config)
	for _, problem := range records.Problems {
		p.logger.Error("a stored rule cannot be used and is left out", zap.Error(problem))
	}
	policy, err := authz.Compile(records.Add(p.declared))
	if err != nil {
		p.logger.Error("what is stored does not make a policy: the one before stays in force", zap.Error(err))
		return
	}
	p.current.Store(policy.With(management.Facts(s, p.names)))
}

// compiled tells those who wait that what was wanted is in force.
func (p *livePolicy) compiled(wanted uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made = max(p.made, wanted)
	close(p.next)
	p.next = make(chan struct{})
}

// Allowed implements the token endpoint's question.
func (p *livePolicy) Allowed(principal *authn.Principal, q *authz.Query) authz.Action {
	return p.load().Allowed(principal, q)
}

// Relevant implements the token endpoint's question.
func (p *livePolicy) Relevant(principal *authn.Principal) *authn.Principal {
	return p.load().Relevant(principal)
}
