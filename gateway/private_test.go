package gateway

import (
	"net/http"
	"testing"
)

func TestKeepPrivate(t *testing.T) {
	for _, tt := range []struct {
		name               string
		control, vary      []string
		wantControl, wantV string
	}{
		{"nothing", nil, nil, "private", "Authorization, Cookie"},
		{"blob of Distribution", []string{"max-age=31536000"}, nil, "private, max-age=31536000", "Authorization, Cookie"},
		{"for everybody", []string{"public, s-maxage=600, max-age=60"}, []string{"Accept"}, "private, max-age=60", "Accept, Authorization, Cookie"},
		{"in two lines", []string{"PUBLIC", "S-MaxAge = 600, no-transform"}, nil, "private, no-transform", "Authorization, Cookie"},
		{"for one field only", []string{`private="Etag", no-cache`}, nil, "private, no-cache", "Authorization, Cookie"},
		{"stricter", []string{"no-store"}, nil, "private, no-store", "Authorization, Cookie"},
	} {
		h := http.Header{"Surrogate-Control": {"max-age=1"}, "Cdn-Cache-Control": {"x"}, "Cloudflare-Cdn-Cache-Control": {"x"}, "X-Accel-Expires": {"1"}, "Etag": {"x"}}
		if tt.control != nil {
			h["Cache-Control"] = tt.control
		}
		if tt.vary != nil {
			h["Vary"] = tt.vary
		}
		keepPrivate(h)
		if got := h.Get("Cache-Control"); got != tt.wantControl {
			t.Errorf("%s: Cache-Control %q, want %q", tt.name, got, tt.wantControl)
		}
		if got := h.Get("Vary"); got != tt.wantV {
			t.Errorf("%s: Vary %q, want %q", tt.name, got, tt.wantV)
		}
		if len(h) != 3 || h.Get("Etag") == "" {
			t.Errorf("%s: %v", tt.name, h)
		}
	}
}
