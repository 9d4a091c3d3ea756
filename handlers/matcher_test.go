package handlers

import (
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestMatcher(t *testing.T) {
	tests := []struct {
		matcher, method, target string
		want                    bool
	}{
		{"registry action push", "PUT", "/v2/a/b/manifests/v1", true},
		{"registry action push", "GET", "/v2/a/b/manifests/v1", false},
		{"registry action pull push", "GET", "/v2/a/b/manifests/v1", true},
		{"registry action delete", "DELETE", "/v2/a/b/manifests/v1", true},
		{"registry repository a/*", "GET", "/v2/a/b/manifests/v1", true},
		{"registry repository a/*", "GET", "/v2/a/b/c/manifests/v1", false},
		{"registry {\naction pull\nrepository x/** a/**\n}", "GET", "/v2/a/b/c/manifests/v1", true},
		{"registry {\naction pull\n}", "GET", "/v2/a%2fb/manifests/v1", false},
		{"registry {\naction pull\n}", "GET", "/index.html", false},
	}
	for _, tt := range tests {
		t.Run(tt.matcher+" "+tt.method+" "+tt.target, func(t *testing.T) {
			var m Matcher
			if err := m.UnmarshalCaddyfile(caddyfile.NewTestDispenser(tt.matcher)); err != nil {
				t.Fatal(err)
			}
			if err := m.Validate(); err != nil {
				t.Fatal(err)
			}
			if got := m.Match(httptest.NewRequest(tt.method, tt.target, nil)); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
