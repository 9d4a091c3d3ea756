package authz

import (
	"fmt"
	"strings"
	"testing"
)

func TestSignatures(t *testing.T) {
	rule := func(key string) *SignatureRule { return &SignatureRule{Keys: []string{key}, Source: "Caddyfile:1"} }
	p, err := Compile(Config{Projects: []Project{
		{Patterns: []string{"team/**", "team/app"}, RequireSignature: rule("a")},
		{Patterns: []string{"team/app"}, RequireSignature: rule("b")},
		{Patterns: []string{"users/{user}/**"}, RequireSignature: rule("c")},
		{Patterns: []string{"open/**"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for repository, want := range map[string]string{
		"team/x": "[a]", "team/app": "[a b]", "team": "[]", "open/x": "[]", "users/alice/x": "[c]", "users/x": "[]", "Team/../x": "[]",
	} {
		keys := []string{}
		for _, r := range p.Signatures(repository) {
			keys = append(keys, r.Keys[0])
		}
		if strings.Contains(want, " ") && len(keys) == 2 && keys[0] == "b" {
			keys[0], keys[1] = keys[1], keys[0]
		}
		if got := fmt.Sprint(keys); got != want {
			t.Errorf("%s: %s, want %s", repository, got, want)
		}
	}
	_, err = Compile(Config{Projects: []Project{{Patterns: []string{"a"}, RequireSignature: &SignatureRule{Source: "Caddyfile:9"}}}})
	if err == nil || !strings.Contains(err.Error(), "Caddyfile:9: require signature: no key") {
		t.Errorf("no key: %v", err)
	}
}

func BenchmarkSignatures(b *testing.B) {
	for _, n := range []int{0, 10, 10000} {
		var cfg Config
		for i := range n {
			cfg.Projects = append(cfg.Projects, Project{
				Patterns: []string{fmt.Sprintf("team-%d/**", i)}, RequireSignature: &SignatureRule{Keys: []string{"k"}},
			})
		}
		p, err := Compile(cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Signatures("open/app")
			}
		})
	}
}
