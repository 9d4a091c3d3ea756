package caddyfile

import (
	"bytes"
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// WorkloadBlock is what a workload block says: about the workload itself, in
// its one mapping, and about the issuer, which several blocks may name.
type WorkloadBlock struct {
	authn.WorkloadConfig

	// Trust is the JSON of the module that supplies the certificate
	// authorities to trust, nil if none was named.
	Trust json.RawMessage `json:"trust_pool,omitempty"`
}

// Workload reads a workload:
//
//	workload <name> <issuer> {
//		audience     <audience...>
//		require      <claim> <value...>
//		when         <expression>
//		as           robot:<name>
//		max_age      <duration>
//		single_use
//		algorithms   <algorithm...>
//		jwks_file    <absolute path>
//		jwks         <key set>
//		jwks_max_age <duration>
//		jwks_grace   <duration>
//		clock_skew   <duration>
//		trust_pool   <module> …
//		insecure_issuer
//	}
func Workload(d *caddyfile.Dispenser) (*WorkloadBlock, error) {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return nil, d.ArgErr()
	}
	b := &WorkloadBlock{WorkloadConfig: authn.WorkloadConfig{Issuer: args[1], Mappings: []authn.WorkloadMapping{{Name: args[0]}}}}
	if err := authn.CheckWorkloadName(args[0]); err != nil {
		return nil, d.WrapErr(err)
	}
	if err := b.options().Read(d, "workload"); err != nil {
		return nil, err
	}
	if err := b.Validate(CompileClaims); err != nil {
		return nil, d.WrapErr(err)
	}
	return b, nil
}

func (b *WorkloadBlock) options() Options {
	m := &b.Mappings[0]
	return Options{
		"audience": List(&m.Audiences, NoPlaceholder),
		"require":  b.require,
		"when": func(d *caddyfile.Dispenser) error {
			var text string
			if err := scalar(d, &text); err != nil {
				return err
			}
			if _, err := CompileClaims(text); err != nil {
				return d.Errf("when `%s`: %v", text, err)
			}
			m.When = append(m.When, text)
			return nil
		},
		"as":         Text(&m.As),
		"max_age":    Span(&m.MaxAge),
		"single_use": Flag(&m.SingleUse),
		"algorithms": List(&b.Algorithms, Wrapped(authn.CheckAlgorithm)),
		"jwks_file":  Text(&b.JWKSFile),
		"jwks": func(d *caddyfile.Dispenser) error {
			text := string(b.JWKS)
			if err := scalar(d, &text); err != nil {
				return err
			}
			if !json.Valid([]byte(text)) {
				return d.Err("jwks: not JSON: write the key set between backticks")
			}
			b.JWKS = json.RawMessage(text)
			return nil
		},
		"jwks_max_age":    Span(&b.JWKSMaxAge),
		"jwks_grace":      Span(&b.JWKSGrace),
		"clock_skew":      Span(&b.ClockSkew),
		"trust_pool":      TrustPool(&b.Trust),
		"insecure_issuer": Flag(&b.InsecureIssuer),
	}
}

// CompileClaims compiles a condition on claims.
func CompileClaims(text string) (authn.ClaimsCondition, error) { return authz.CompileClaims(text) }

// require reads one condition on a claim. Several lines may name one claim:
// all must hold.
func (b *WorkloadBlock) require(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 2 {
		return d.Err("require: want a claim and at least one value")
	}
	if err := checked(d, "require", []Check{NoPlaceholder}, args...); err != nil {
		return err
	}
	m := &b.Mappings[0]
	m.Require = append(m.Require, authn.ClaimRequirement{Claim: args[0], Values: args[1:]})
	return nil
}

// workloadIssuer gathers the workload blocks that name one issuer. A token is
// offered to all of them, in their order, so they make one authenticator.
type workloadIssuer struct {
	WorkloadBlock
	Type string `json:"type"`

	at int // position among the authenticators
}

// workload declares a workload.
func (p *realmParser) workload(d *caddyfile.Dispenser) error {
	b, err := Workload(d)
	if err != nil {
		return err
	}
	name := b.Mappings[0].Name
	var mine *workloadIssuer
	for _, issuer := range p.issuers {
		for _, m := range issuer.Mappings {
			if m.Name == name {
				return d.Errf("workload %s is already declared: other values of a claim go on the same `require` line, other jobs into a workload of another name", name)
			}
		}
		if issuer.Issuer == b.Issuer {
			mine = issuer
		}
	}
	if mine == nil {
		p.issuers = append(p.issuers, &workloadIssuer{WorkloadBlock: *b, Type: authn.WorkloadName, at: len(p.config.AuthenticatorsRaw)})
		p.config.AuthenticatorsRaw = append(p.config.AuthenticatorsRaw, nil) // finishWorkloads fills it
		return nil
	}
	setting, err := mine.join(b)
	if err != nil {
		return d.WrapErr(err)
	}
	if setting != "" {
		return d.Errf("workload %s: %s: another workload of the same issuer has another value; it is the issuer's, write it once", name, setting)
	}
	return nil
}

// join adds a further workload of the issuer. What is said about the issuer
// may be said in one block or, the same, in several; join returns what differs.
func (i *workloadIssuer) join(b *WorkloadBlock) (differs string, err error) {
	mappings := append(i.Mappings, b.Mappings...)
	settings, err := i.settings()
	if err != nil {
		return "", err
	}
	more, err := b.settings()
	if err != nil {
		return "", err
	}
	for name, value := range more {
		if before, given := settings[name]; given && !bytes.Equal(before, value) {
			return name, nil
		}
		settings[name] = value
	}
	joined, err := json.Marshal(settings)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(joined, i); err != nil {
		return "", err
	}
	i.Mappings = mappings
	return "", i.Validate(CompileClaims)
}

// settings returns what is said about the issuer, by its JSON name.
func (b WorkloadBlock) settings() (map[string]json.RawMessage, error) {
	data, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	out := map[string]json.RawMessage{}
	err = json.Unmarshal(data, &out)
	delete(out, "mappings")
	return out, err
}

// finishWorkloads puts each issuer where its first workload stands.
func (p *realmParser) finishWorkloads() error {
	for _, issuer := range p.issuers {
		raw, err := json.Marshal(issuer)
		if err != nil {
			return err
		}
		p.config.AuthenticatorsRaw[issuer.at] = raw
	}
	return nil
}
