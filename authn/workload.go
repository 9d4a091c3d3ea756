package authn

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
		v.spend = func() error { return a.spent.spend(a.issuer, jti, now, v.until) }
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
// robot is refused where the robot would be. The authenticator itself may
// serve several realms, with robots of their own.
func (a *Workload) ActingAs(robots *Robots) Authenticator { return actingWorkload{a, robots} }

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
