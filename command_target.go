package registryauth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// parseQuery reads what is asked for, as in "push team-a/app:v1".
func parseQuery(args []string) (*authz.Query, error) {
	if len(args) != 2 {
		return nil, errors.New("want an action and a repository, for example: pull team-a/app:v1")
	}
	q := new(authz.Query)
	for word := range strings.SplitSeq(args[0], ",") {
		action, err := authz.ParseAction(word)
		if err != nil {
			return nil, unknownWord("action", word, authz.AllActions.Names())
		}
		q.Action |= action
	}
	if err := parseTarget(args[1], q); err != nil {
		return nil, err
	}
	if q.Type == authz.TypeRegistry && q.Action != authz.List {
		return nil, fmt.Errorf("%s can only be listed: ask for list %[1]s", catalogTarget)
	}
	q.Method = method(q)
	return q, nil
}

// method is the HTTP method with which clients do it, for conditions that
// look at it; "" if it is not one request.
func method(q *authz.Query) string {
	switch q.Action {
	case authz.Pull, authz.List:
		return http.MethodGet
	case authz.Push, authz.Overwrite:
		if q.Tag == "" && q.Digest == "" {
			return http.MethodPost // an upload begins
		}
		return http.MethodPut
	case authz.Delete:
		return http.MethodDelete
	}
	return ""
}

// catalogTarget is how the commands call the list of all repositories: as the
// registry API does. No repository's name begins so.
const catalogTarget = "_catalog"

// parseTarget reads "repository", "repository:tag", "repository@digest" or
// "_catalog".
func parseTarget(text string, q *authz.Query) error {
	if text == catalogTarget {
		q.Type, q.Repository = authz.TypeRegistry, authz.CatalogName
		return nil
	}
	name, digest, byDigest := strings.Cut(text, "@")
	tagged := false
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, q.Tag, tagged = name[:i], name[i+1:], true
	}
	q.Repository, q.Digest = name, digest
	switch {
	case tagged && byDigest:
		return fmt.Errorf("%q has a tag and a digest: a request goes by one of the two", text)
	case strings.Contains(name, "://") || strings.Contains(name, ":"):
		return fmt.Errorf("bad repository name %q: leave the registry's host and scheme out", name)
	case name != strings.ToLower(name):
		return fmt.Errorf("bad repository name %q: it has upper-case letters", name)
	case !authz.ValidName(name):
		return fmt.Errorf("bad repository name %q: want lower-case letters and digits, separated by single . _ - and /", name)
	case tagged && !authz.ValidTag(q.Tag):
		return fmt.Errorf("bad tag %q: want letters, digits and . _ -, at most 128", q.Tag)
	case byDigest && !authz.ValidDigest(digest):
		return fmt.Errorf("bad digest %q: want for example sha256: and 64 hexadecimal digits", digest)
	}
	return nil
}

// targetText is what parseTarget reads.
func targetText(q *authz.Query) string {
	switch {
	case q.Type == authz.TypeRegistry:
		return catalogTarget
	case q.Tag != "":
		return q.Repository + ":" + q.Tag
	case q.Digest != "":
		return q.Repository + "@" + q.Digest
	}
	return q.Repository
}

// hostNote warns of a repository that begins with what looks like a host: it
// may be a name that a client was given, which has the registry in front.
func hostNote(q *authz.Query) string {
	first, rest, ok := strings.Cut(q.Repository, "/")
	if !ok || first != "localhost" && !strings.Contains(first, ".") {
		return ""
	}
	return fmt.Sprintf("%s is taken as part of the repository's name: if it is the registry's host, ask for %s", first, rest)
}
