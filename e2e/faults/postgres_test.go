package faults

import (
	"testing"
	"time"
)

func TestUpstream(t *testing.T) {
	r := newRegistry(t)
	n := configure(t, r, "", local, localEnv)
	n.start(t)
	u := newUsers(t, "the registry behind", r, n)
	suffer(t, u, fault{name: "nothing", within: time.Second})
	suffer(t, u, fault{name: "registry absent", begin: r.line.cut, end: r.line.mend, within: time.Second,
		refuses: map[kind][]int{pullByToken: {502}, pullBySecret: {502}, push: {502}}})
}
