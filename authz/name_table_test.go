package authz

import (
	"strings"
	"testing"
)

func TestDigestsHaveTheirLength(t *testing.T) {
	hex := func(n int) string { return strings.Repeat("a", n) }
	for s, want := range map[string]bool{
		"sha256:" + hex(64): true, "sha256:" + hex(63): false, "sha256:" + hex(65): false, "sha256:" + hex(63) + "A": false, "sha256:" + hex(63) + "g": false,
		"sha512:" + hex(128): true, "sha512:" + hex(127): false, "sha512:" + hex(64): false, "sha512:" + hex(127) + "/": false,
		"blake3:" + hex(32): true, "blake3:" + hex(31): false, "blake3:" + hex(maxHex): true, "blake3:" + hex(maxHex+1): false, "blake3:" + hex(31) + "/": false,
		"a+b.c:" + hex(32): true, "a++b:" + hex(32): false, "+a:" + hex(32): false, "a+:" + hex(32): false, "A:" + hex(32): false, ":" + hex(32): false,
		"a/b:" + hex(32): false, hex(64): false, "sha256" + hex(64): false, "": false,
	} {
		if ValidDigest(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
	for s, want := range map[string]bool{"": false, ".": false, "..": false, "...": true, "a/b": false, strings.Repeat("a", maxUpload): true, strings.Repeat("a", maxUpload+1): false} {
		if validUploadID(s) != want {
			t.Errorf("upload %q: %v", s, !want)
		}
	}
	for s, want := range map[string]bool{"": false, "a": true, strings.Repeat("a", maxTag): true, strings.Repeat("a", maxTag+1): false, ".a": false, "-a": false, "a/b": false, "_a.-": true} {
		if ValidTag(s) != want {
			t.Errorf("tag %q: %v", s, !want)
		}
	}
	for s, want := range map[string]bool{"_a": true, "_a/b": true, "_a/./b": false, "_a/../b": false, "_a//b": false, "_a/": false, "": false, "_a/%2e": false} {
		if validExtensionPath(s) != want {
			t.Errorf("extension %q: %v", s, !want)
		}
	}
}

func TestTagPatternsAreOfTagsOnly(t *testing.T) {
	for _, right := range []string{"*", "v1.*_x-", "09AZaz"} {
		if err := checkTags([]string{right}); err != nil {
			t.Error(err)
		}
	}
	for _, wrong := range []string{"", "/", ":", "@", "[", "`", "{", "é", " "} {
		if err := checkTags([]string{"v*", wrong}); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}
