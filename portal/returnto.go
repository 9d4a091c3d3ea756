package portal

import (
	"net/url"
	"strings"
)

// maxReturn is how long a way back may be, in bytes.
const maxReturn = 1024

// localPath returns where to go after signing in: target if it is a path on
// this host in the plainest spelling, else fallback. Whatever some browser or
// proxy may read as another host is none: "//host", "/\host", tabs, encoded
// slashes, dot segments, what may pass for a user before a host.
func localPath(target, fallback string) string {
	if len(target) > maxReturn || !strings.HasPrefix(target, "/") {
		return fallback
	}
	for _, r := range target {
		if r <= ' ' || r > '~' || strings.ContainsRune("\\\"<>^`{|}", r) {
			return fallback
		}
	}
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || u.Fragment != "" {
		return fallback
	}
	path, _, _ := strings.Cut(target, "?")
	if strings.Contains(path, "%") || strings.Contains(path, "//") || strings.Contains(path, "/.") || strings.Contains(path, "@") {
		return fallback
	}
	return target
}
