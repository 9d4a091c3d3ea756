package admission

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestUpgrades: an option of Connection that is another one opens nothing.
func TestUpgrades(t *testing.T) {
	for _, test := range []struct {
		method, name, value string
		want                bool
	}{
		{"GET", "Connection", "keep-alive", false},
		{"GET", "Connection", "X-Upgrade, close", false},
		{"GET", "Connection", "close, UPGRADE ", true},
		{"GET", "Upgrade", "", true},
		{"CONNECT", "X-Nothing", "x", true},
		{"HEAD", "X-Nothing", "x", false},
		{"OPTIONS", "X-Nothing", "x", false},
	} {
		r := httptest.NewRequest(test.method, "http://registry.example.com/", nil)
		r.Header = http.Header{test.name: {test.value}}
		if got := Upgrades(r); got != test.want {
			t.Errorf("%s, %s: %s: %v", test.method, test.name, test.value, got)
		}
	}
}
