package authz

import (
	"strings"
	"testing"
)

// TestNamesOfRepositoriesAreBounded by length and by every byte, whoever asks:
// the grammar of requests is narrower.
func TestNamesOfRepositoriesAreBounded(t *testing.T) {
	if !validRepository(strings.Repeat("a", 255)) || validRepository(strings.Repeat("a", 256)) || validRepository("") {
		t.Error("length")
	}
	for c := range 256 {
		b := string([]byte{byte(c)})
		segment := strings.Contains("abcdefghijklmnopqrstuvwxyz0123456789._-", b)
		if validRepository(b) != segment || validRepository("a/"+b) != segment {
			t.Errorf("%q alone", b)
		}
		if got := validRepository("a" + b + "a"); got != (segment || b == "/") {
			t.Errorf("a%qa: %v", b, got)
		}
	}
	for _, wrong := range []string{"/", "/a", "a/", "a//b", "a..b", "../a", "a/..", "a/../b"} {
		if validRepository(wrong) {
			t.Errorf("%q", wrong)
		}
	}
	for _, right := range []string{"a__b", "a--b", "a.b", "0", "z9/0a"} {
		if !validRepository(right) {
			t.Errorf("%q", right)
		}
	}
}
