package management

import (
	"hash/fnv"
	"iter"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// listedRobot is a robot of a list, before it is shown.
type listedRobot struct {
	name     string
	stored   *state.Item[state.Robot]
	declared *DeclaredRobot
}

// id orders the list: what the configuration supersedes stands behind what it
// declares.
func (r listedRobot) id() string {
	if r.declared == nil {
		return r.name + afterDeclared
	}
	return r.name
}

// afterDeclared is put behind the name of what is stored, for the order of
// lists.
const afterDeclared = "\x00"

func (m *Manager) showListed(r listedRobot) *Robot {
	if r.declared != nil {
		return m.showDeclared(r.declared)
	}
	return m.showRobot(r.stored.Value, r.stored.Revision)
}

// visibleRobots returns the robots that a caller may know of.
func (m *Manager) visibleRobots(who *Caller, q RobotQuery) iter.Seq[listedRobot] {
	admin := m.admin(who)
	managed := map[string]bool{} // by project
	visible := func(name, description string) bool {
		project := (&state.Robot{Name: name}).Project()
		if q.Project != "" && project != q.Project {
			return false
		}
		if q.Text != "" && !strings.Contains(name, q.Text) && !strings.Contains(description, q.Text) {
			return false
		}
		if admin || isRobot(who, name) {
			return true
		}
		if project == "" {
			return false
		}
		may, known := managed[project]
		if !known {
			may = m.managesRobot(who, name)
			managed[project] = may
		}
		return may
	}
	return func(yield func(listedRobot) bool) {
		for i := range m.declared.Robots {
			d := &m.declared.Robots[i]
			if visible(d.Name, "") && !yield(listedRobot{name: d.Name, declared: d}) {
				return
			}
		}
		for item := range m.state.Robots.All() {
			if visible(item.ID, item.Value.Description) && !yield(listedRobot{name: item.ID, stored: item}) {
				return
			}
		}
	}
}

// Numbers of robots have 48 bits, so that every JSON reader keeps them whole;
// those of declared ones begin with a one and follow from the name.
const numberBits = 47

func declaredNumber(name string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return int64(h.Sum64()>>(64-numberBits)) | 1<<numberBits
}
