package runner

import (
	"fmt"
	"testing"
)

func TestExpand(t *testing.T) {
	e := &expander{n: 7, resolve: func(name, mutation, argument string) (string, error) {
		return fmt.Sprintf("<%s|%s|%s>", name, mutation, argument), nil
	}}
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{"{{service}}", "<service||>"},
		{"Bearer {{token:bob:pub/app:pull}}", "Bearer <token||bob:pub/app:pull>"},
		{"{{token!kid=../../dev/null:alice:team/app:pull}}", "<token|kid=../../dev/null|alice:team/app:pull>"},
		{"{{token!access={}:alice:team/app:pull}}", "<token|access={}|alice:team/app:pull>"},
		{"{{idtoken!iss=http://evil.example:alice}}", "<idtoken|iss=http://evil.example|alice>"},
		{"{{idtoken!preferred_username=robot$ci:alice}}", "<idtoken|preferred_username=robot$ci|alice>"},
		{"{{b64:longpw:{{pw72}}WRONG}}", "<b64||longpw:<pw72||>WRONG>"},
		{"{{b64::x}}", "<b64||:x>"},
		{"{{n}},{{rep:3:ab}}", "7,ababab"},
		{"{{rep:2:&s={{n}}:{{x}}}}", "&s=0:<x||>&s=1:<x||>"},
		{"{{gha:repo:corp/app:ref:refs/heads/main}}", "<gha||repo:corp/app:ref:refs/heads/main>"},
	} {
		got, err := e.expand(c.in)
		if err != nil || got != c.want {
			t.Errorf("expand(%q) = %q, %v, want %q", c.in, got, err, c.want)
		}
	}
	if _, err := e.expand("{{open"); err == nil {
		t.Error("a placeholder without end is accepted")
	}
}
