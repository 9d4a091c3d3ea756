package gateway

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/admission"
)

var (
	errHost          = errors.New("the Host header is not a host name")
	errForwardedHost = errors.New("X-Forwarded-Host is not a host name")
	errBody          = errors.New("a request that only reads has no body")
)

// Admit is the door that every request comes through, whatever it is for and
// before anybody looks at its credential. It settles the client's address, and
// refuses what is no host, and bodies that the server behind may not read: it
// would take them for the next request. The error fits into an answer.
func Admit(r *http.Request) error {
	settleClient(r)
	if !validHost(r.Host) {
		return errHost
	}
	if fromTrustedProxy(r) {
		if host := forwardedHost(r); host != "" && !validHost(host) {
			return errForwardedHost
		}
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if r.ContentLength != 0 {
			return errBody
		}
	}
	return nil
}

// AdmitRoute is [Admit] for a request to a server behind that acts with the
// client's own credentials, or none. What other sites may send there is that
// server's to say.
func AdmitRoute(r *http.Request) error {
	if err := Admit(r); err != nil {
		return err
	}
	return admission.Fresh(r)
}

// AdmitActor is [Admit] for a request that acts with an identity that the
// gateway finds: a browser must not do so for a page of another site.
func AdmitActor(r *http.Request) error {
	if err := Admit(r); err != nil {
		return err
	}
	return admission.Check(r)
}

// AdmissionAnswer is the answer to an error of those: what is not well formed
// is told in the words of the error.
func AdmissionAnswer(err error) answer.Answer {
	if a := answer.Of(err); a.Kind != answer.Internal {
		return a
	}
	return answer.Answer{Status: http.StatusBadRequest, Code: answer.CodeUnsupported, Sentence: err.Error()}
}

// unknownClient stands for the address of a client that the proxy in front
// does not name. It matches no network.
const unknownClient = "unknown"

// settleClient replaces the client's address that Caddy has taken from the
// left of X-Forwarded-For, where the client may have written what it likes,
// for all that comes later: conditions, limits, audit and access log.
func settleClient(r *http.Request) {
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil || server.TrustedProxiesStrict > 0 || !fromTrustedProxy(r) {
		return
	}
	client := forwardedClient(r.Header, server.ClientIPHeaders, func(a netip.Addr) bool { return trusts(server, r, a) })
	if peer := peerAddr(r); client == "" && peer.IsValid() {
		client = peer.String() // and not the leftmost of the proxies, which the client can choose
	}
	if client != "" {
		caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, client)
	}
}

// forwardedClient reads the client's address from what proxies have appended:
// from the right, past the proxies that are trusted. It returns "" if the
// peer itself, or none but trusted proxies, has sent the request.
func forwardedClient(h http.Header, names []string, trusted func(netip.Addr) bool) string {
	for _, name := range names {
		list := strings.Join(h.Values(name), ",")
		for list != "" {
			i := strings.LastIndexByte(list, ',')
			part := strings.TrimSpace(list[i+1:])
			list = list[:max(i, 0)]
			addr, ok := parseAddr(part)
			if !ok {
				return unknownClient
			}
			if !trusted(addr) {
				return addr.String()
			}
		}
	}
	return ""
}

// parseAddr reads an address that may have a port or a zone.
func parseAddr(s string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	addr, err := netip.ParseAddr(s)
	return addr.Unmap().WithZone(""), err == nil
}

// trusts reports whether an address is one of the server's trusted proxies.
// Caddy tells that of the peer of a request only, so it is asked about one.
func trusts(server *caddyhttp.Server, r *http.Request, addr netip.Addr) bool {
	probe := (&http.Request{
		Method: http.MethodGet, URL: new(url.URL), Header: http.Header{}, RemoteAddr: netip.AddrPortFrom(addr, 0).String(),
	}).WithContext(r.Context())
	return fromTrustedProxy(caddyhttp.PrepareRequest(probe, caddy.NewReplacer(), nil, server))
}
