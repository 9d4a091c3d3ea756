package clients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func (m *matrix) htpasswd() *row {
	p := &people{t: m.t, file: filepath.Join(m.dir, "users")}
	p.set("alice", "correct horse", "-c")
	p.set("bob", "battery staple")
	p.set("carol", "staple battery")
	r := &row{name: "htpasswd", client: "docker", block: "htpasswd " + p.file}
	alice, bob, carol := visitor{user: "alice", secret: "correct horse"}, visitor{user: "bob", secret: "battery staple"}, visitor{user: "carol", secret: "staple battery"}
	r.known = alice
	r.turns = map[failure]func(*testing.T) turn{
		wrongSecret: func(*testing.T) turn {
			return turn{shown: []visitor{{user: "alice", secret: "battery staple"}, {user: "nobody", secret: "correct horse"}}, welcome: []visitor{alice}}
		},
		accountGone: func(t *testing.T) turn {
			token := r.token(t, bob)
			p.htpasswd("", "-D", p.file, "bob")
			return turn{shown: []visitor{bob, token}, welcome: []visitor{alice}}
		},
		hugeInput: func(*testing.T) turn { return hugePassword("alice", alice) },
		hugeAnswer: func(t *testing.T) turn {
			before := string(mustRead(t, p.file))
			mark := r.gateway.Log.Mark()
			write(t, p.file, before+strings.Repeat("#"+megabyte+"\n", 9))
			r.logged(t, mark, "8388608")
			return turn{
				shown: []visitor{alice}, welcome: []visitor{carol},
				repair: func() { write(t, p.file, before) }, after: []visitor{alice},
			}
		},
		rotation: func(t *testing.T) turn {
			p.set("alice", "another one")
			return turn{shown: []visitor{alice}, after: []visitor{{user: "alice", secret: "another one"}}}
		},
		down: func(t *testing.T) turn {
			before := string(mustRead(t, p.file))
			mark := r.gateway.Log.Mark()
			must(t, os.Remove(p.file))
			r.logged(t, mark, "no such file")
			write(t, p.file, before[:len(before)-30])
			r.logged(t, mark, p.file+":2: ")
			return turn{
				shown: []visitor{{user: "alice", secret: "another one"}}, welcome: []visitor{carol},
				repair: func() { write(t, p.file, before) }, after: []visitor{carol},
			}
		},
	}
	return r
}
