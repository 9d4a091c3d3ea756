package state

import (
	"slices"
	"sync/atomic"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// userNames finds the users, by their ids, who go by a name.
type userNames struct{ ids *livemap[string, []string] }

func (x *userNames) follow(t *Table[User], filled *atomic.Bool) {
	x.ids = newLivemap[string, []string](filled, itself)
	t.onChange(func(before, after *Item[User]) {
		if before != nil && after != nil && before.Value.Name == after.Value.Name {
			return
		}
		if before != nil {
			ids, _ := x.ids.get(before.Value.Name)
			ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == before.ID })
			if len(ids) == 0 {
				x.ids.remove(before.Value.Name)
			} else {
				x.ids.set(before.Value.Name, ids)
			}
		}
		if after != nil {
			ids, _ := x.ids.get(after.Value.Name)
			x.ids.set(after.Value.Name, append(slices.Clip(ids), after.ID))
		}
	})
}

// IsAnother implements [authn.SecretDirectory]: whether a user name is that of
// somebody who is known here, and not p's.
func (s *State) IsAnother(username string, p *authn.Principal) bool {
	if username == p.Name {
		return false
	}
	ids, ok := s.userNames.ids.get(username)
	return ok && !slices.Contains(ids, p.Identity().ID())
}
