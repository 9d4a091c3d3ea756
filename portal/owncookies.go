package portal

import "strings"

// WithoutOwnCookies returns the values of a Cookie header without the cookies
// of portals, whichever realm's, and whether there were any. The other cookies
// stay as they are, to the byte.
func WithoutOwnCookies(values []string) (rest []string, own bool) {
	for _, value := range values {
		if !strings.Contains(value, "registry_") {
			rest = append(rest, value)
			continue
		}
		var kept []string
		for pair := range strings.SplitSeq(value, ";") {
			name, _, _ := strings.Cut(pair, "=")
			if isOwnCookie(strings.TrimSpace(name)) {
				own = true
				continue
			}
			kept = append(kept, pair)
		}
		if left := strings.TrimSpace(strings.Join(kept, ";")); left != "" {
			rest = append(rest, left)
		}
	}
	return rest, own
}

func isOwnCookie(name string) bool {
	name = strings.TrimPrefix(name, hostPrefix)
	return name == sessionCookie || strings.HasPrefix(name, sessionCookie+"_") || strings.HasPrefix(name, attemptCookie)
}
