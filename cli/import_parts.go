package cli

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// partSize is how many robots of a large document one call imports: few enough
// that each is done in a moment.
const partSize = 500

// importDocument imports a document. A large one goes in parts, so that it can
// be seen how far it is; then all of it is tried before, and a mistake
// anywhere in it changes nothing. Only the whole shows what is too much, so
// that pruning is done in one.
func (c *call) importDocument(d *management.Document, dryRun, prune bool) (*management.ImportResult, error) {
	parts := split(d)
	if len(parts) == 1 || dryRun || prune {
		return c.importPart(d, dryRun, prune)
	}
	p := c.newProgress("importing", 1+len(parts))
	defer p.end()
	if _, err := c.importPart(d, true, false); err != nil {
		return nil, err
	}
	p.step()
	result := &management.ImportResult{}
	for _, part := range parts {
		got, err := c.importPart(part, false, false)
		if err != nil {
			return nil, err
		}
		result.Changes = append(result.Changes, got.Changes...)
		p.step()
	}
	return result, nil
}

func (c *call) importPart(d *management.Document, dryRun, prune bool) (*management.ImportResult, error) {
	q := url.Values{}
	set(q, "dry_run", yes(dryRun, "true"))
	set(q, "prune", yes(prune, "true"))
	result := new(management.ImportResult)
	return result, c.Do(c.ctx, http.MethodPost, client.Path("import"), q, d, result)
}

// split cuts a document: what robots need comes in the first part, what needs
// robots in the last.
func split(d *management.Document) []*management.Document {
	if len(d.Robots) <= partSize {
		return []*management.Document{d}
	}
	var parts []*management.Document
	for robots := range slices.Chunk(d.Robots, partSize) {
		parts = append(parts, &management.Document{Version: d.Version, Robots: robots})
	}
	first, last := parts[0], parts[len(parts)-1]
	first.Projects, first.RoleMappings, first.APIKeys = d.Projects, d.RoleMappings, d.APIKeys
	last.Owners, last.LockedOut = d.Owners, d.LockedOut
	last.ReadOnly, last.ReadOnlyProjects = d.ReadOnly, d.ReadOnlyProjects
	return parts
}
