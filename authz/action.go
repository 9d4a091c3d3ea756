package authz

import (
	"fmt"
	"math/bits"
	"strings"
)

// Action is a set of things that may be done, one bit each. Single actions
// are sets of one.
type Action uint8

// The actions. Overwrite moves an existing tag, List reads the tags of a
// repository and its entry in the catalog, Manage administers the robots and
// members of a project.
const (
	Pull Action = 1 << iota
	Push
	Delete
	Overwrite
	List
	Manage
)

// AllActions is the set of every action.
const AllActions = Pull | Push | Delete | Overwrite | List | Manage

var actionNames = [...]string{"pull", "push", "delete", "overwrite", "list", "manage"}

// ParseAction returns the action of a name such as "pull"; "*" is all of them.
func ParseAction(name string) (Action, error) {
	if name == "*" {
		return AllActions, nil
	}
	for i, n := range actionNames {
		if n == name {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("unknown action %q: want %s or *", name, strings.Join(actionNames[:], ", "))
}

// Has reports whether all of other is in the set.
func (a Action) Has(other Action) bool { return a&other == other }

// Names returns the names of the set's members, in the order of the constants.
func (a Action) Names() []string {
	names := make([]string, 0, bits.OnesCount8(uint8(a)))
	for i, n := range actionNames {
		if a&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// String joins the names with commas, as a scope does: "pull,push".
func (a Action) String() string { return strings.Join(a.Names(), ",") }

// MarshalText writes the names, so that configuration reads "pull,push".
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText writes, and "*".
func (a *Action) UnmarshalText(text []byte) error {
	*a = 0
	for name := range strings.SplitSeq(string(text), ",") {
		action, err := ParseAction(strings.TrimSpace(name))
		if err != nil {
			return err
		}
		*a |= action
	}
	return nil
}
