package authn

import (
	"slices"
	"strings"
	"sync"
	"unicode"

	"go.uber.org/zap"
)

// The forms in which a list of groups or roles is none that can be relied on.
// Whoever has such a credential is in the groups that could be read, if any,
// and deny rules that name groups hold.
const (
	formMissing = "missing"
	formEmpty   = "null or an empty text"
	formText    = "a text with several names in it"
	formJSON    = "JSON written as a text"
	formMixed   = "a list with members that are no names"
	formObject  = "an object"
	formOther   = "neither a text nor a list of texts"
)

// readNames returns the names that a claim lists, and in which form it is if
// it cannot be read, not all of it, or not with certainty. A text alone is one
// name: providers write a list of one so. It is never taken apart, since
// whoever may name a group could name it `x,admins`. An object whose members are objects
// has its names for keys, as the roles of Zitadel have.
func readNames(claim any, present bool) (names []string, form string) {
	if !present {
		return nil, formMissing
	}
	switch v := claim.(type) {
	case nil:
		return nil, formEmpty
	case string:
		return readText(v)
	case []string:
		return v, ""
	case []any:
		return readMembers(v)
	case map[string]any:
		for name, member := range v {
			if _, nested := member.(map[string]any); !nested || !isName(name) {
				return nil, formObject
			}
			names = append(names, name)
		}
		if len(names) == 0 {
			return nil, formObject
		}
		slices.Sort(names)
		return names, ""
	}
	return nil, formOther
}

func readText(text string) (names []string, form string) {
	switch trimmed := strings.TrimSpace(text); {
	case trimmed == "":
		return nil, formEmpty
	case trimmed[0] == '[' || trimmed[0] == '{':
		return nil, formJSON
	case !isName(text):
		return nil, formMixed
	case several(text):
		return []string{text}, formText
	}
	return []string{text}, ""
}

func readMembers(list []any) (names []string, form string) {
	names = make([]string, 0, len(list))
	for _, member := range list {
		name, ok := member.(string)
		switch {
		case !ok || !isName(name):
			form = formMixed
		case name[0] == '[' || name[0] == '{':
			form = formJSON
		case len(list) == 1 && several(name): // of a provider that knows no lists, behind one that does
			names, form = append(names, name), formText
		default:
			names = append(names, name)
		}
	}
	return names, form
}

// several reports whether a name may be a list of names. The name of an entry in
// a directory has commas too, and "=".
func several(name string) bool {
	return strings.ContainsAny(name, ",;") && !strings.Contains(name, "=")
}

// isName reports whether a group or role may be called so.
func isName(name string) bool {
	return name != "" && len(name) <= maxUsername && !strings.ContainsFunc(name, unicode.IsControl)
}

// keptElsewhere reports whether a token says that a claim is kept in another place
// (OpenID Connect Core §5.6.2), in any of the spellings of Microsoft Entra ID:
// `_claim_names`, also as a text, `hasgroups`, `groups:src1`, and the name of a
// source in the place of the groups.
func keptElsewhere(claims map[string]any, path string) bool {
	top, _, _ := strings.Cut(path, ".")
	switch names := claims[claimNamesKey].(type) {
	case nil:
	case map[string]any:
		for _, name := range []string{path, top} {
			if _, ok := names[name]; ok {
				return true
			}
		}
	case string:
		if strings.Contains(names, top) {
			return true
		}
	default:
		return true
	}
	if has := claims["has"+path]; has == true || has == "true" || has == float64(1) {
		return true
	}
	for name := range claims {
		if strings.HasPrefix(name, path+":src") {
			return true
		}
	}
	sources, _ := claims[claimSourceKey].(map[string]any)
	v, _ := LookupClaim(claims, path)
	source, _ := v.(string)
	_, named := sources[source]
	return source != "" && named
}

// unreadNotice says once for each claim and form that lists could not be read.
// The forms are few, and so is what it remembers. The
// nil pointer says nothing.
type unreadNotice struct {
	say  func(claim, form string)
	said sync.Map
}

func (n *unreadNotice) note(claim, form string) {
	if n == nil || form == "" {
		return
	}
	if _, before := n.said.LoadOrStore(claim+"\x00"+form, true); !before {
		n.say(claim, form)
	}
}

// newUnreadNotice makes one that warns in a log.
func newUnreadNotice(log *zap.Logger) *unreadNotice {
	if log == nil {
		return nil
	}
	return &unreadNotice{say: func(claim, form string) {
		if form == formMissing { // no fault where no rule looks at it
			log.Info("tokens do not have the claim with groups or roles: deny rules that name groups or roles hold for them", zap.String("claim", claim))
			return
		}
		log.Warn("groups or roles in a token cannot be read: they do not count, and deny rules that name groups or roles hold",
			zap.String("claim", claim), zap.String("form", form))
	}}
}
