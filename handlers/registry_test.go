package handlers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/realm"
)

func TestNotReadyIsUnavailable(t *testing.T) {
	h := Handler{realm: new(realm.Realm)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nobody waits for the realm
	w := httptest.NewRecorder()
	if err := h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/v2/", nil), nil); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
