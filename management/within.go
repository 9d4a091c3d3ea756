package management

import (
	"net/netip"
	"time"
	"unicode"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// isLasting reports whether the caller shows something that was made here to
// last, a token or a key: what is made with it must not outlive it. A
// bootstrap key is made to be outlived.
func isLasting(who *Caller) bool {
	if who.Principal != nil {
		return who.Principal.Credential == state.CredentialToken
	}
	return who.actor.Kind == "api_key"
}

// moreThanShown is said of a credential that would be good for more, from
// elsewhere or longer than the one that it is made with.
const moreThanShown = "it would be good for more than what you show"

// checkWithin holds a new credential to what the caller shows: no more scopes,
// and, if that is a token or a key, from no other networks and no longer.
func (m *Manager) checkWithin(who *Caller, wrong *problems, scopes, from []string, expires time.Time) {
	for i, s := range scopes {
		if !who.scopes.has(Scope(s)) {
			wrong.add(at("scopes", i), "your credential is not good for %s itself", s)
		}
	}
	if !isLasting(who) {
		return
	}
	if !who.expires.IsZero() && (expires.IsZero() || expires.After(who.expires)) {
		wrong.add("expires", "your credential itself ends at %s", who.expires.Format(time.RFC3339))
	}
	if !sourcesWithin(from, who.from) {
		wrong.add("from", "your credential is accepted only from %v itself", who.from)
	}
}

// sourcesWithin reports whether all networks of a list are in those of another;
// none is all addresses.
func sourcesWithin(inner, outer []string) bool {
	if len(outer) == 0 {
		return true
	}
	allowed, err := parseSources(outer)
	wanted, errWanted := parseSources(inner)
	if err != nil || errWanted != nil || len(wanted) == 0 {
		return false
	}
	for _, w := range wanted {
		if !containsNetwork(allowed, w) {
			return false
		}
	}
	return true
}

func containsNetwork(list []netip.Prefix, p netip.Prefix) bool {
	for _, l := range list {
		if l.Bits() <= p.Bits() && l.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

// checkPrintable refuses what cannot be shown on one line.
func checkPrintable(wrong *problems, field, text string) {
	for _, r := range text {
		if !unicode.IsPrint(r) {
			wrong.add(field, "has characters that cannot be printed")
			return
		}
	}
}
