package gateway

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// graceParameter is the query parameter that the gateway adds to the Location
// of an upload, and that clients bring back with the next piece. Underscore
// first, as Distribution's own _state.
const graceParameter = "_grace"

// uploadGrace proves that somebody has started an upload while their token
// was good. It travels sealed in the upload's URL, so that every gateway with
// the same keys knows it and none has to remember.
type uploadGrace struct {
	Principal  string `json:"p"`
	Issuer     string `json:"i,omitempty"`
	Subject    string `json:"s,omitempty"`
	Repository string `json:"r"`
	Until      int64  `json:"u"` // Unix seconds
}

// continues returns the principal of an expired token if the request goes on
// with an upload that this principal has started in this repository with it.
// Whether the principal may push is decided as for every request.
func (x *exchange) continues(err error) (*authn.Principal, bool) {
	var expired *authn.ExpiredTokenError
	if x.request.Route != authz.RouteUpload || !errors.As(err, &expired) {
		return nil, false
	}
	p := expired.Principal
	sealed, _ := cutParameter(x.request.RawQuery, graceParameter)
	value, ok := x.front.Keys.Open("upload", sealed)
	if !ok {
		return nil, false
	}
	var grace uploadGrace
	if json.Unmarshal(value, &grace) != nil || grace != x.grace(p) || x.start.Unix() >= grace.Until {
		return nil, false
	}
	return p, x.front.Chain.Recheck(p, x.credential) == nil && x.front.State.Check(p) == nil
}

// grace is what is sealed for an upload of a principal.
func (x *exchange) grace(p *authn.Principal) uploadGrace {
	return uploadGrace{
		Principal: p.String(), Issuer: p.Issuer, Subject: p.Subject, Repository: x.request.Repository,
		Until: p.Expires.Add(x.front.Grace).Unix(),
	}
}

// withGrace adds the proof to the Location of an upload that a registry token
// has started or continued.
func (x *exchange) withGrace(location string) string {
	p := x.principal
	if x.front.Grace == 0 || p.Credential != authn.CredentialRegistryToken || p.IsAnonymous() || p.Expires.Add(x.front.Grace).Before(time.Now()) {
		return location
	}
	u, err := url.Parse(location)
	if err != nil || !strings.HasPrefix(u.Path, "/v2/"+x.request.Repository+"/blobs/uploads/") {
		return location
	}
	value, err := json.Marshal(x.grace(p))
	if err != nil {
		return location
	}
	sealed, err := x.front.Keys.Seal("upload", value)
	if err != nil {
		return location // the upload goes on for as long as the token lives
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += graceParameter + "=" + sealed
	return u.String()
}

// cutParameter takes a parameter out of a query and leaves the rest as it is,
// to the byte: what is in an upload's URL belongs to the registry.
func cutParameter(query, name string) (value, rest string) {
	if !strings.Contains(query, name+"=") {
		return "", query
	}
	kept := make([]string, 0, 4)
	for pair := range strings.SplitSeq(query, "&") {
		if v, ok := strings.CutPrefix(pair, name+"="); ok {
			value = v
			continue
		}
		kept = append(kept, pair)
	}
	return value, strings.Join(kept, "&")
}
