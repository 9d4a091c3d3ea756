package authz

import (
	"regexp"
	"strings"
	"testing"
)

// The grammars as expressions, to compare with.
var (
	nameRE   = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagRE    = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	digestRE = regexp.MustCompile(`^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}|([a-z0-9]+([+._-][a-z0-9]+)*):[a-f0-9]{32,256})$`)
)

func FuzzNames(f *testing.F) {
	for _, s := range []string{
		"", "a", "team/app", "a.b__c-d--e/f", "a_b", "a__b", "a___b", "a--b", "a-_b", "a._b", "a/", "/a", "a//b",
		"-a", "a-", "a/_b", "a/b_", "A", "é", "a:b", "localhost:5000/a", strings.Repeat("a", 255), strings.Repeat("a", 256),
		"latest", "_x", ".x", "A_b.C-1", strings.Repeat("t", 128), strings.Repeat("t", 129),
		someDigest, longDigest, "sha256:abc", "sha256:" + longDigest[7:], "md5:d41d8cd98f00b204e9800998ecf8427e",
		"a+b.c:d41d8cd98f00b204e9800998ecf8427e", "+a:d41d8cd98f00b204e9800998ecf8427e", "a+:d41d8cd98f00b204e9800998ecf8427e",
		":d41d8cd98f00b204e9800998ecf8427e", "sha384:" + strings.Repeat("a", 257), "sha256:" + strings.ToUpper(someDigest[7:]),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := ValidName(s), len(s) <= 255 && nameRE.MatchString(s); got != want {
			t.Errorf("ValidName(%q) = %v", s, got)
		}
		if got, want := ValidTag(s), tagRE.MatchString(s); got != want {
			t.Errorf("ValidTag(%q) = %v", s, got)
		}
		want := digestRE.MatchString(s)
		if alg, hex, _ := strings.Cut(s, ":"); alg == "sha256" && len(hex) != 64 || alg == "sha512" && len(hex) != 128 {
			want = false
		}
		if got := ValidDigest(s); got != want {
			t.Errorf("ValidDigest(%q) = %v", s, got)
		}
	})
}
