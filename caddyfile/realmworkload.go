package caddyfile

import (
	"bytes"
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

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
