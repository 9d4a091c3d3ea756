package authz

import (
	"net/http"
	"net/url"
	"strings"
)

const (
	maxQuery      = 16 << 10 // bytes
	maxTags       = 100
	maxPageDigits = 7
)

// A parameter of the query that means something to us.
type parameter uint8

const (
	paramMount parameter = 1 << iota
	paramFrom
	paramDigest
	paramTag
	paramN
	paramLast

	paramRepeatable = paramTag
)

var parameterNames = [...]string{"mount", "from", "digest", "tag", "n", "last"}

// parameters returns those that are looked at. Mount, from and digest are so
// everywhere: Distribution reads "from" whatever the method is.
func (r Route) parameters() parameter {
	const always = paramMount | paramFrom | paramDigest
	switch r {
	case RouteManifest:
		return always | paramTag
	case RouteCatalog, RouteTags:
		return always | paramN | paramLast
	}
	return always
}

// readQuery checks the query, fills in what it says and keeps it for
// forwarding.
func (r *Request) readQuery(raw string) error {
	if len(raw) > maxQuery {
		return errQueryLong
	}
	if !wellFormed(raw) {
		return errQuery
	}
	r.RawQuery = raw

	var seen parameter
	var mount, from, digest string
	known := r.Route.parameters()
	for rest, pair := raw, ""; rest != ""; {
		pair, rest, _ = strings.Cut(rest, "&")
		key, value, _ := strings.Cut(pair, "=")
		p, err := parameterOf(key, known)
		if err != nil {
			return err
		}
		if p == 0 {
			continue
		}
		if seen&p&^paramRepeatable != 0 {
			return errQueryRepeated
		}
		seen |= p
		if value, err = url.QueryUnescape(value); err != nil {
			return errQuery
		}
		switch p {
		case paramMount:
			mount = value
		case paramFrom:
			from = value
		case paramDigest:
			digest = value
		case paramTag:
			if err := r.addTag(value); err != nil {
				return err
			}
		case paramN:
			if !validPageSize(value) {
				return errPagination
			}
		}
	}
	if seen&paramDigest != 0 && r.finishesUpload() {
		if !ValidDigest(digest) {
			return errDigest
		}
		r.Reference = digest
	}
	if seen&(paramMount|paramFrom) != 0 {
		return r.setMount(mount, from)
	}
	return nil
}

// finishesUpload reports whether the registry reads "digest" in the query.
func (r *Request) finishesUpload() bool {
	return r.Route == RouteUploads || r.Route == RouteUpload && r.Method == http.MethodPut
}

// addTag notes a tag that a push sets by its query.
func (r *Request) addTag(tag string) error {
	switch {
	case r.Method != http.MethodPut:
		return nil
	case !ValidTag(tag):
		return errTag
	case len(r.Tags) == maxTags:
		return errQueryTags
	}
	r.Tags = append(r.Tags, tag)
	return nil
}

// setMount notes a mount, if it is one that can be authorized, or takes it
// out of what is forwarded: one without a source would search all
// repositories for the blob, and a source that is no repository name is
// usual from clients that copy between registries.
func (r *Request) setMount(mount, from string) error {
	if r.Route == RouteUploads && mount != "" {
		if !ValidDigest(mount) {
			return errDigest
		}
		if ValidName(from) {
			r.Mount, r.From = mount, from
			return nil
		}
	}
	r.DropMount()
	return nil
}

// parameterOf returns which of the known parameters a key is, 0 for none. A
// key that is one of them only to a server that decodes it, or disregards
// case, is an error.
func parameterOf(key string, known parameter) (parameter, error) {
	plain := key
	if strings.ContainsAny(key, "%+") {
		var err error
		if plain, err = url.QueryUnescape(key); err != nil {
			return 0, errQuery
		}
		plain = strings.TrimSpace(plain)
	}
	for i, name := range parameterNames {
		if p := parameter(1 << i); known&p != 0 && len(plain) == len(name) && strings.EqualFold(plain, name) {
			if key != name {
				return 0, errQueryKey
			}
			return p, nil
		}
	}
	return 0, nil
}

// wellFormed reports whether all servers cut and decode the query alike:
// visible ASCII, no semicolon (a separator to some) and no "#" (the end to
// some), whole escapes, and none for a control character.
func wellFormed(raw string) bool {
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c <= ' ' || c > '~' || c == ';' || c == '#':
			return false
		case c == '%':
			if i+2 >= len(raw) {
				return false
			}
			hi, lo := unhex(raw[i+1]), unhex(raw[i+2])
			if hi > 15 || lo > 15 || hi < 2 || hi == 7 && lo == 15 {
				return false
			}
			i += 2
		}
	}
	return true
}

// unhex returns the value of a hexadecimal digit, 255 for anything else.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// validPageSize checks n. It is bounded since there are registries that
// reserve memory for as many entries (CVE-2023-2253).
func validPageSize(n string) bool {
	return n != "" && len(n) <= maxPageDigits && strings.Trim(n, "0123456789") == ""
}

// withoutMount takes mount and from out of a query and leaves all else as it
// is. Other spellings of the two have been refused before.
func withoutMount(raw string) string {
	var kept []string
	for pair := range strings.SplitSeq(raw, "&") {
		if key, _, _ := strings.Cut(pair, "="); key != "mount" && key != "from" {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

// The types of resources in scopes, and the one name that the type
// "registry" has.
const (
	TypeRepository = "repository"
	TypeRegistry   = "registry"
	CatalogName    = "catalog"
)

// Access is actions on a resource, as the Docker token specification has
// them in scopes and in tokens.
type Access struct {
	// Type is TypeRepository or TypeRegistry.
	Type string

	// Name is the name of the repository, or CatalogName.
	Name string

	// Actions are the actions asked for, or granted. It may be none.
	Actions Action
}

// String returns the access as a scope, "repository:team/app:pull,push".
// Only actions that clients know are shown, see ScopeActions.
func (a Access) String() string {
	return a.Type + ":" + a.Name + ":" + strings.Join(a.ScopeActions(), ",")
}

// scopeActions has the words for every set of pull, push and delete.
var scopeActions = [...][]string{
	{},
	{"pull"},
	{"push"},
	{"pull", "push"},
	{"delete"},
	{"pull", "delete"},
	{"push", "delete"},
	{"pull", "push", "delete"},
}

var anyAction = []string{"*"}

// ScopeActions returns the actions in the vocabulary of scopes and of the
// "access" claim: pull, push and delete on a repository, "*" on the registry
// as soon as there is any. List, overwrite and manage have no word there.
// The slice is shared; do not change it.
func (a Access) ScopeActions() []string {
	if a.Type == TypeRegistry && a.Actions != 0 {
		return anyAction
	}
	return scopeActions[a.Actions&(Pull|Push|Delete)]
}

// Action returns the one action that the request needs on its target: pull,
// push, delete or list; for an extension, what is configured. It is none for
// the base, which is open to whoever is somebody. Overwrite is not known
// here: it depends on what the registry holds.
func (r *Request) Action() Action {
	switch r.Route {
	case RouteCatalog, RouteTags:
		return List
	case RouteUploads, RouteUpload: // to ask after or to cancel an upload is part of it
		return Push
	case RouteExtension:
		return r.extension.action
	case RouteManifest, RouteBlob, RouteReferrers:
		switch {
		case !r.Write():
			return Pull
		case r.Method == http.MethodDelete:
			return Delete
		}
		return Push
	}
	return 0
}

// Target returns what a client's token has to hold for the request, in the
// vocabulary of scopes: pull for all that reads, pull and push for what
// pushes, as clients expect. It is the zero Access for the base.
func (r *Request) Target() Access {
	action := r.Action()
	switch {
	case r.Route == RouteBase:
		return Access{}
	case r.Repository == "":
		return Access{Type: TypeRegistry, Name: CatalogName, Actions: AllActions}
	case action == List:
		action = Pull
	case action == Push:
		action |= Pull
	}
	return Access{Type: TypeRepository, Name: r.Repository, Actions: action}
}

// Source returns the pull that a cross-repository mount needs beside its
// target; false if the request is none.
func (r *Request) Source() (Access, bool) {
	if r.From == "" {
		return Access{}, false
	}
	return Access{Type: TypeRepository, Name: r.From, Actions: Pull}, true
}

// Accesses returns target and source, for a challenge. It is empty for the
// base.
func (r *Request) Accesses() []Access {
	if r.Route == RouteBase {
		return nil
	}
	list := []Access{r.Target()}
	if source, ok := r.Source(); ok {
		list = append(list, source)
	}
	return list
}
