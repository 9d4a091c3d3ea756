package authn

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// seenRoles are what a request shows beside its credential.
type seenRoles struct {
	roles []string
	told  bool
	err   error
	who   *Principal // of a request without a credential
}

func (s *seenRoles) Authenticate(_ context.Context, c *Credential) (*Principal, error) {
	switch c.Secret {
	case "robot":
		return &Principal{Kind: KindRobot, Name: "ci"}, nil
	case "user":
		return &Principal{Kind: KindUser, Name: "alice", Subject: "1"}, nil
	}
	return nil, ErrNotMine
}

func (s *seenRoles) AuthenticateAmbient(context.Context, *Credential) (*Principal, error) {
	if s.who == nil {
		return nil, ErrNotMine
	}
	return s.who, nil
}

func (s *seenRoles) AmbientRoles(*Evidence) ([]string, bool, error) { return s.roles, s.told, s.err }

// TestRolesOfARequest are added to whom a credential is of. Where the request
// does not tell them, that is known of people, whom deny rules may name.
func TestRolesOfARequest(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		seen   seenRoles
		secret string
		roles  []string
		unread bool
		want   error
	}{
		"told":                {seenRoles{roles: []string{"lead"}, told: true}, "user", []string{"lead"}, false, nil},
		"told none":           {seenRoles{told: true}, "user", nil, false, nil},
		"not told":            {seenRoles{}, "user", nil, true, nil},
		"not told, some":      {seenRoles{roles: []string{"lead"}}, "user", []string{"lead"}, true, nil},
		"not told of a robot": {seenRoles{}, "robot", nil, false, nil},
		"told of a robot":     {seenRoles{roles: []string{"lead"}, told: true}, "robot", []string{"lead"}, false, nil},
		"broken":              {seenRoles{err: broken}, "user", nil, false, broken},
		"of a nobody":         {seenRoles{roles: []string{"lead"}, told: true}, "", nil, false, nil},
	} {
		chain := NewChain([]Member{NewMember("seen", &test.seen)}, nil)
		c := &Credential{Scheme: SchemeBasic, Username: "x", Secret: test.secret, Evidence: &Evidence{}}
		if test.secret == "" {
			c.Scheme = SchemeNone
		}
		p, err := chain.Authenticate(t.Context(), c)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
			continue
		}
		if err == nil && (!slices.Equal(p.HeaderRoles, test.roles) || p.HeaderRolesUnread != test.unread) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if !NewChain([]Member{NewMember("seen", &seenRoles{})}, nil).WantsEvidence() || NewChain(nil, nil).WantsEvidence() {
		t.Error("who looks at evidence")
	}
	// Roles that begin as another authenticator's are nobody's to give.
	p := &seenRoles{roles: []string{"corp-lead"}, told: true}
	oidc := Member{Facts: Facts{Name: "oidc:corp", Prefix: "corp-", People: true}, Authenticator: &seenRoles{told: true}}
	chain := NewChain([]Member{oidc, {Facts: Facts{Name: "headers", People: true}, Authenticator: p}}, nil)
	if _, err := chain.Authenticate(t.Context(), &Credential{Scheme: SchemeBasic, Username: "x", Secret: "robot", Evidence: &Evidence{}}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a role of another authenticator: %v", err)
	}
	// Without an admission whoever a request shows is admitted.
	shown := &seenRoles{who: &Principal{Kind: KindUser, Name: "bob"}, told: true}
	if p, err := NewChain([]Member{NewMember("seen", shown)}, nil).Authenticate(t.Context(), &Credential{Evidence: &Evidence{}}); err != nil || p.Name != "bob" {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestThrottleRemembersTwoGenerations: what has failed is not forgotten when
// many others fail, and is when the clock was turned back.
func TestThrottleRemembersTwoGenerations(t *testing.T) {
	now := time.Now()
	th := NewThrottle(func() time.Time { return now })
	const account = throttleShards * 7
	strike := func(account, secret uint64) int { return th.strike(account, secret) - strikeLimit }
	for i := range uint64(strikeLimit) {
		strike(account, i+1)
	}
	others := uint64(0)
	fill := func(n int) {
		for range n {
			others++
			strike(throttleShards*(1000+others), 1)
		}
	}
	fill(throttlePerShard - 1)
	if got := len(th.shards[0].newer); got != throttlePerShard || th.shards[0].older != nil {
		t.Fatalf("%d accounts are remembered", got)
	}
	fill(1)
	if got := strike(account, 100); got != 1 {
		t.Errorf("the account is over its limit by %d after others have failed", got)
	}
	fill(throttlePerShard)
	if got := strike(account, 101); got != 2 {
		t.Errorf("by %d after more", got)
	}
	fill(2 * throttlePerShard)
	if got := strike(account, 102); got != 1-strikeLimit {
		t.Errorf("by %d after very many", got)
	}
	if len(th.shards[0].newer) > throttlePerShard || len(th.shards[0].older) > throttlePerShard {
		t.Error("it remembers more than it may")
	}
	if got := strike(account, 102); got != 1-strikeLimit {
		t.Errorf("the same secret again counts: %d", got)
	}
	now = now.Add(-time.Second)
	if got := strike(account, 103); got != 1-strikeLimit {
		t.Errorf("by %d before it had failed", got)
	}
	now = now.Add(strikeWindow)
	if got := strike(account, 104); got != 2-strikeLimit {
		t.Errorf("by %d at the end of the window", got)
	}
	for from, want := range map[string]string{"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::", "2001:db8:0:1::1%eth0": "2001:db8:0:1::"} {
		if got := sourceOf(netip.MustParseAddr(from)); got != want {
			t.Errorf("%s counts as %s", from, got)
		}
	}
}

func TestBasicIsWholeBase64(t *testing.T) {
	good := base64.StdEncoding.EncodeToString([]byte("alice:pw"))
	for encoded, want := range map[string]bool{
		good: true, strings.TrimRight(good, "="): false, good[:len(good)-3]: false, good + "AA": false, "YWxpY2U6cHd=": false, "====": false,
		base64.StdEncoding.EncodeToString([]byte(strings.Repeat("a", maxUsername) + ":x")):   true,
		base64.StdEncoding.EncodeToString([]byte(strings.Repeat("a", maxUsername+1) + ":x")): false,
	} {
		c, err := FromHeader(map[string][]string{"Authorization": {"Basic " + encoded}}, here)
		if (err == nil) != want || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v, %v", encoded, c, err)
		}
	}
	longest := strings.Repeat("a", MaxCredential-len("Bearer "))
	for n, want := range map[string]bool{longest: true, longest + "a": false} {
		if _, err := FromHeader(map[string][]string{"Authorization": {"Bearer " + n}}, here); (err == nil) != want {
			t.Errorf("%d bytes: %v", len(n), err)
		}
	}
	for _, odd := range []string{"Dig\x01est x", "Digest x\x7f"} {
		if _, err := FromHeader(map[string][]string{"Authorization": {odd}}, here); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", odd, err)
		}
	}
	if got := fmt.Sprint(Credential{}, Credential{Scheme: SchemeBasic, Secret: "x"}); got != "no credential basic credential" {
		t.Errorf("shown as %q", got)
	}
}
