package caddyfile

import (
	"encoding/json"
	"strings"

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
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := b.line(d); err != nil {
			return nil, err
		}
	}
	if err := b.Validate(CompileClaims); err != nil {
		return nil, d.WrapErr(err)
	}
	return b, nil
}

func (b *WorkloadBlock) line(d *caddyfile.Dispenser) (err error) {
	m := &b.Mappings[0]
	switch d.Val() {
	case "audience":
		if err := appendList(d, &m.Audiences); err != nil {
			return err
		}
		return noPlaceholder(d, "audience", m.Audiences)
	case "require":
		return b.require(d)
	case "when":
		var text string
		if err := scalar(d, &text); err != nil {
			return err
		}
		if _, err := CompileClaims(text); err != nil {
			return d.Errf("when `%s`: %v", text, err)
		}
		m.When = append(m.When, text)
		return nil
	case "as":
		return scalar(d, &m.As)
	case "max_age":
		return duration(d, &m.MaxAge, "")
	case "single_use":
		return flag(d, &m.SingleUse)
	case "algorithms":
		return algorithms(d, &b.Algorithms)
	case "jwks_file":
		return scalar(d, &b.JWKSFile)
	case "jwks":
		var text string
		if b.JWKS != nil {
			return d.Err("jwks: given twice")
		}
		if err := scalar(d, &text); err != nil {
			return err
		}
		if !json.Valid([]byte(text)) {
			return d.Err("jwks: not JSON: write the key set between backticks")
		}
		b.JWKS = json.RawMessage(text)
		return nil
	case "jwks_max_age":
		return duration(d, &b.JWKSMaxAge, "")
	case "jwks_grace":
		return duration(d, &b.JWKSGrace, "")
	case "clock_skew":
		return duration(d, &b.ClockSkew, "")
	case "trust_pool":
		b.Trust, err = trustPool(d, b.Trust)
		return err
	case "insecure_issuer":
		return flag(d, &b.InsecureIssuer)
	}
	return unrecognized(d, "workload", "audience", "require", "when", "as", "max_age", "single_use", "algorithms", "jwks_file", "jwks",
		"jwks_max_age", "jwks_grace", "clock_skew", "trust_pool", "insecure_issuer")
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
	if err := noPlaceholder(d, "require", args); err != nil {
		return err
	}
	m := &b.Mappings[0]
	m.Require = append(m.Require, authn.ClaimRequirement{Claim: args[0], Values: args[1:]})
	return nil
}

// noPlaceholder refuses what looks like a placeholder: it would be compared
// as it stands, and nothing would match it.
func noPlaceholder(d *caddyfile.Dispenser, name string, values []string) error {
	for _, v := range values {
		if strings.ContainsAny(v, "{}") {
			return d.Errf("%s: %q: placeholders are not resolved here; {$NAME} is, when the Caddyfile is read", name, v)
		}
	}
	return nil
}
