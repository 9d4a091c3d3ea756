package command

import (
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

func TestParsePolicyCases(t *testing.T) {
	const end = "\n  expect: allow\n"
	tests := map[string]struct {
		text string
		want string // part of the error
	}{
		"syntax":           {"- as: [user:alice" + end, "p.yaml:"},
		"no case":          {"[]", "p.yaml: there is no case"},
		"two documents":    {"- {as: anonymous, do: pull a, expect: allow}\n---\n- {}", "p.yaml: want one list"},
		"field twice":      {"- as: user:a\n  as: user:b\n  do: pull a" + end, `p.yaml:2: mapping key "as" already defined`},
		"nobody":           {"- do: pull a" + end, "p.yaml:1: as: who asks is missing"},
		"nothing":          {"- as: user:a" + end, "p.yaml:1: do: want an action and a repository"},
		"no expectation":   {"- as: user:a\n  do: pull a", `p.yaml:1: expect "": want allow or deny`},
		"claims":           {"- as: user:a\n  claims: {x: .nan}\n  do: pull a" + end, "p.yaml:1: claims: x"},
		"tag of no tag":    {"- as: user:a\n  tag_exists: true\n  do: push a" + end, "p.yaml:1: whether the tag exists"},
		"bad tag":          {"- as: user:a\n  tags: [-]\n  do: delete a@sha256:" + strings.Repeat("a", 64) + end, "p.yaml:1: bad tag"},
		"merged misspelt":  {"- &x {az: user:a, do: pull a, expect: allow}\n- {<<: *x, as: user:b}", `p.yaml:1: unknown field "az"`},
		"an alias is fine": {"- &x {as: user:a, do: pull a, expect: allow}\n- *x\n- {<<: *x, as: user:b}", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parsePolicyCases("p.yaml", []byte(test.text))
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// TestPolicyCaseMeans checks what is easily lost between YAML and the policy.
func TestPolicyCaseMeans(t *testing.T) {
	cases, err := parsePolicyCases("p.yaml", []byte(`
- as: user:alice
  claims: {level: 3, sub: "17", iss: https://sso.example.com}
  do: delete team/app@sha256:`+strings.Repeat("a", 64)+`
  time: 2027-01-01T00:00:00Z
  ip: 2001:db8::1
  tags: []
  expect: deny
- as: anonymous
  do: push team/app:v1
  tag_exists: false
  expect: deny
`))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := cases[0].principal.Claims["level"].(float64); !ok {
		t.Errorf("level is %T, want float64 as in a token", cases[0].principal.Claims["level"])
	}
	if p := cases[0].principal; p.Subject != "17" || p.Issuer != "https://sso.example.com" {
		t.Errorf("subject %q, issuer %q", p.Subject, p.Issuer)
	}
	if cases[0].state.tags == nil {
		t.Error("no tags at all became unknown tags")
	}
	if q := cases[0].query; q.Time.Year() != 2027 || !q.Remote.Is6() || q.Method != "DELETE" || q.Action != authz.Delete {
		t.Errorf("query %+v", q)
	}
	if exists := cases[1].state.exists; exists == nil || *exists {
		t.Errorf("exists %v, want false", exists)
	}
}
