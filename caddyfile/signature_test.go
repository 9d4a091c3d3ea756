package caddyfile

import (
	"slices"
	"strings"
	"testing"
)

func TestRequireSignature(t *testing.T) {
	cfg, err := readPolicy("project a/** {\n\trequire signature {\n\t\tkey /etc/cosign.pub {env.KEY}\n" +
		"\t\tkey `-----BEGIN PUBLIC KEY-----\nAA\n-----END PUBLIC KEY-----`\n\t}\n\tguest anyone\n}\nproject b {\n\trequire signature /b.pub\n\tread_only\n}")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/etc/cosign.pub", "{env.KEY}", "-----BEGIN PUBLIC KEY-----\nAA\n-----END PUBLIC KEY-----"}
	if r := cfg.Projects[0].RequireSignature; !slices.Equal(r.Keys, want) || r.Source != "Testfile:2" {
		t.Errorf("%+v", r)
	}
	if r := cfg.Projects[1].RequireSignature; !slices.Equal(r.Keys, []string{"/b.pub"}) || !cfg.Projects[1].ReadOnly {
		t.Errorf("%+v", r)
	}
}

func TestRequireSignatureErrors(t *testing.T) {
	for lines, want := range map[string]string{
		"require":                                    "wrong argument count",
		"require signatur":                           "require signatur: want signature",
		"require signature":                          "require signature: no key",
		"require signature {\n\tkey\n}":              "wrong argument count",
		"require signature {\n\tkeys /x\n}":          `did you mean "key"?`,
		"require signature cosign.pub":               "want the absolute path",
		"require signature {\n\tkey ../x\n}":         "want the absolute path",
		"require signature /a\nrequire signature /b": "already specified",
		"requir signature /a":                        `did you mean "require"?`,
	} {
		_, err := readPolicy("project a/** {\n" + lines + "\n}")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Testfile:") {
			t.Errorf("%q: want %q with its place, got: %v", lines, want, err)
		}
	}
}
