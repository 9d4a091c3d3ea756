package authn

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Workload authenticates CI jobs and service accounts by the OIDC tokens that
// their platform issues to them: as Bearer, or as the password of Basic with
// any user name. There is one for each issuer; its mappings say which tokens
// are whom. It is safe for concurrent use.
type Workload struct {
	tokenVerifier
	mappings []mapping
	spent    *SpentTokens
	spender  Spender // nil: spent is all that there is
}

// Spender remembers, for all gateways and beyond a restart, which tokens that are
// accepted once were used.
type Spender interface {
	// SpendToken notes that a token is used, until it would be refused anyhow:
	// [ErrInvalid] if it was used before, [ErrUnavailable] if that cannot be
	// written down.
	SpendToken(ctx context.Context, issuer, id string, until time.Time) error
}

// CredentialWorkloadToken is the [Principal.Credential] of a workload.
const CredentialWorkloadToken = "workload_token"

// maxWorkloadSubject is how long a workload's subject may be, in bytes. It is
// more than OpenID Connect allows: those of GitHub have the name of a branch.
const maxWorkloadSubject = 1024

// NewWorkload makes the authenticator of an issuer. It does no I/O: see
// [Workload.Start]. Tokens of mappings that accept each token once are noted
// in spent, which may be shared; nil makes a table of its own.
func NewWorkload(c WorkloadConfig, spent *SpentTokens, o Options) (*Workload, error) {
	mappings, err := c.compile(o.When)
	if err != nil {
		return nil, err
	}
	if spent == nil {
		spent = NewSpentTokens()
	}
	a := &Workload{mappings: mappings, spent: spent, tokenVerifier: newTokenVerifier(issuerSettings{
		name: WorkloadName + ":" + c.Issuer, issuer: c.Issuer, algorithms: c.Algorithms,
		maxAge: c.JWKSMaxAge, grace: c.JWKSGrace, insecure: c.InsecureIssuer,
		keys: c.staticKeys(o.Now),
	}, o)}
	a.judge = a.assess
	return a, nil
}

// Facts implements [Described].
func (a *Workload) Facts() Facts {
	f := Facts{Name: a.name, Issuers: []string{a.issuer}}
	for _, m := range a.mappings {
		f.Workloads = append(f.Workloads, m.name)
		if m.kind == KindRobot {
			f.ActsAs = append(f.ActsAs, m.as)
		}
	}
	return f
}

// assess finds the mapping of a token: the first whose audience and
// requirements it meets decides, also about the age.
func (a *Workload) assess(claims map[string]any, now time.Time) (verdict, error) {
	subject, _ := claims["sub"].(string)
	if subject == "" || len(subject) > maxWorkloadSubject {
		return verdict{}, fmt.Errorf("%w: sub is missing or longer than %d bytes", ErrInvalid, maxWorkloadSubject)
	}
	if _, logout := claims["events"]; logout {
		return verdict{}, fmt.Errorf("%w: a logout token proves no workload", ErrInvalid)
	}
	jti, _ := claims["jti"].(string)
	if len(jti) > maxSubject {
		return verdict{}, fmt.Errorf("%w: jti is longer than %d bytes", ErrInvalid, maxSubject)
	}
	audiences, err := workloadAudiences(claims)
	if err != nil {
		return verdict{}, err
	}
	m, err := a.mapping(claims, audiences)
	if err != nil {
		return verdict{}, err
	}
	expires, err := m.times.checkTimes(claims, now)
	if err != nil {
		return verdict{}, fmt.Errorf("workload %s: %w", m.name, err)
	}
	p := &Principal{
		Kind: m.kind, Name: m.as, Issuer: a.issuer, Subject: subject, Claims: claims,
		Credential: CredentialWorkloadToken, CredentialID: jti, Terms: m.terms, Expires: expires,
	}
	p.Issued, _ = numericDate(claims, "iat")
	v := verdict{principal: p, until: m.times.until(p, claims)}
	if m.singleUse {
		if jti == "" {
			return verdict{}, fmt.Errorf("%w: workload %s: single_use, and the token has no jti", ErrInvalid, m.name)
		}
		v.spend = func(ctx context.Context) error {
			if a.spender != nil {
				if err := a.spender.SpendToken(ctx, a.issuer, jti, v.until); err != nil {
					return err
				}
			}
			return a.spent.spend(a.issuer, jti, now, v.until)
		}
	}
	return v, nil
}

// maxReasons bounds how many mappings a refusal speaks of.
const maxReasons = 8

// mapping returns the first mapping that a token meets, or an error that says
// of each what is missing.
func (a *Workload) mapping(claims map[string]any, audiences []string) (*mapping, error) {
	var reasons []string
	for i := range a.mappings {
		m := &a.mappings[i]
		reason := m.refuses(claims, audiences)
		if reason == "" {
			return m, nil
		}
		if len(reasons) < maxReasons {
			reasons = append(reasons, m.name+": "+reason)
		}
	}
	return nil, fmt.Errorf("%w: no workload of the issuer matches the token (%s)", ErrInvalid, strings.Join(reasons, "; "))
}

// workloadAudiences returns for whom a token was issued.
func workloadAudiences(claims map[string]any) ([]string, error) {
	switch aud := claims["aud"].(type) {
	case string:
		return []string{aud}, nil
	case []any:
		var audiences []string
		for _, a := range aud {
			s, ok := a.(string)
			if !ok {
				return nil, fmt.Errorf("%w: aud is not a list of strings", ErrInvalid)
			}
			audiences = append(audiences, s)
		}
		return audiences, nil
	}
	return nil, fmt.Errorf("%w: aud is missing", ErrInvalid)
}

// Recheck implements [Rechecker]: a registry token is good while the mapping
// that it was issued for is configured as it was then. The token does not
// carry what the job's own token said, so it cannot be judged by another one.
func (a *Workload) Recheck(p *Principal, _ *Credential) error {
	if p.Issuer != a.issuer {
		return fmt.Errorf("%w: workload of another issuer", ErrDisabled)
	}
	i := slices.IndexFunc(a.mappings, func(m mapping) bool { return m.kind == p.Kind && m.as == p.Name && m.terms == p.Terms })
	if i < 0 {
		return fmt.Errorf("%w: the workload that %.128q was taken for is not configured any more, or in another way", ErrDisabled, p.String())
	}
	return nil
}

// actingWorkload is a [Workload] in a realm whose robots it may act as.
type actingWorkload struct {
	*Workload

	robots *Robots
}

// ActingAs returns the authenticator for a realm: a workload that acts as a
// robot is refused where the robot would be, and tokens that are accepted once are
// noted with spender. The authenticator itself may serve several realms, with
// robots of their own.
func (a *Workload) ActingAs(robots *Robots, spender Spender) Authenticator {
	own := *a
	own.spender = spender
	own.judge = own.assess
	return actingWorkload{&own, robots}
}

// Authenticate implements [Authenticator].
func (a actingWorkload) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	p, err := a.Workload.Authenticate(ctx, c)
	if err == nil {
		err = a.admit(p, c)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Recheck implements [Rechecker].
func (a actingWorkload) Recheck(p *Principal, c *Credential) error {
	if err := a.Workload.Recheck(p, c); err != nil {
		return err
	}
	return a.admit(p, c)
}

// admit asks whether the robot may that a workload acts as.
func (a actingWorkload) admit(p *Principal, c *Credential) error {
	if p.Kind != KindRobot {
		return nil
	}
	return a.robots.AdmitRobot(p.Name, c.Remote)
}

// maxSpent is how many tokens that are good once can be outstanding.
const maxSpent = 64 << 10

// SpentTokens remembers, until they expire, tokens that are accepted once
// only. It is bounded: when it is full, further tokens are refused as
// [ErrBusy], for forgetting one would let it be used again. It is safe for
// concurrent use.
type SpentTokens struct {
	limit int

	mu     sync.Mutex
	until  map[cacheKey]time.Time
	pruned time.Time
}

// NewSpentTokens makes an empty table for 65,536 tokens.
func NewSpentTokens() *SpentTokens {
	return &SpentTokens{limit: maxSpent, until: map[cacheKey]time.Time{}}
}

// spend notes that a verified token was used, or says that it was before. The
// key is the identifier and not the text of a token, which can be altered
// without breaking its signature.
func (s *SpentTokens) spend(issuer, jti string, now, until time.Time) error {
	key := digest(issuer + "\x00" + jti)
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, used := s.until[key]; used && now.Before(last) {
		return fmt.Errorf("%w: the token was used before, and it is accepted once", ErrInvalid)
	}
	if len(s.until) >= s.limit {
		s.prune(now)
	}
	if len(s.until) >= s.limit {
		return fmt.Errorf("%w: %d tokens that are accepted once have not expired yet", ErrBusy, len(s.until))
	}
	s.until[key] = until
	return nil
}

// prune forgets expired tokens, at most once a second: it looks at all.
func (s *SpentTokens) prune(now time.Time) {
	if now.Sub(s.pruned) < time.Second && !now.Before(s.pruned) {
		return
	}
	s.pruned = now
	for key, until := range s.until {
		if !now.Before(until) {
			delete(s.until, key)
		}
	}
}

// staticKeys returns what stands in for an issuer that cannot be reached, nil
// if it is to be asked itself.
func (c WorkloadConfig) staticKeys(now func() time.Time) func(context.Context) (*providerKeys, error) {
	if now == nil {
		now = time.Now
	}
	switch {
	case c.JWKS != nil:
		return func(context.Context) (*providerKeys, error) { return parseJWKS(c.JWKS, now()) }
	case c.JWKSFile != "":
		return func(context.Context) (*providerKeys, error) { return readKeys(c.JWKSFile, now()) }
	}
	return nil
}

// readKeys reads a key set of bounded size from a file.
func readKeys(path string, now time.Time) (*providerKeys, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("jwks_file: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.New("jwks_file: not a regular file")
	}
	body, err := io.ReadAll(io.LimitReader(f, providerBody+1))
	if err != nil {
		return nil, fmt.Errorf("jwks_file: %w", err)
	}
	if len(body) > providerBody {
		return nil, fmt.Errorf("jwks_file: longer than %d bytes", providerBody)
	}
	keys, err := parseJWKS(body, now)
	if err != nil {
		return nil, fmt.Errorf("jwks_file: %w", err)
	}
	return keys, nil
}

// actAs sets who a workload is: itself, or the robot that as names.
func (m *mapping) actAs(as string) error {
	m.kind, m.as = KindWorkload, m.name
	if as == "" {
		return nil
	}
	name, ok := strings.CutPrefix(as, "robot:")
	if !ok {
		return fmt.Errorf("%.128q: want robot:NAME", as)
	}
	if err := CheckRobotName(name); err != nil {
		return err
	}
	m.kind, m.as = KindRobot, name
	return nil
}

// termsSize is how much of a hash tells two settings apart, in bytes. It is in
// every registry token of a workload, and nobody gains by a collision: who
// could make one writes the configuration.
const termsSize = 12

// terms is a short text that differs when anything differs that a token must
// meet, or that it is taken for.
func (m WorkloadMapping) terms(issuer string) string {
	text, err := json.Marshal(struct {
		Issuer  string
		Mapping WorkloadMapping
	}{issuer, m})
	if err != nil {
		return "" // strings and numbers: there is no such error
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:termsSize])
}
