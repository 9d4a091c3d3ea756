package clients

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
)

// fault is how a service misbehaves, if at all.
type fault struct {
	mu   sync.Mutex
	what string // "", "down", "failing", "slow", "huge"
}

func (f *fault) set(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.what = what
}

// broken reports whether the fault has answered the request.
func (f *fault) broken(w http.ResponseWriter, r *http.Request) bool {
	f.mu.Lock()
	what := f.what
	f.mu.Unlock()
	switch what {
	case "down":
		panic(http.ErrAbortHandler)
	case "failing":
		w.WriteHeader(http.StatusInternalServerError)
		return true
	case "huge":
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind":"TokenReview","name":"carol","groups":["x"`+strings.Repeat(`,"x"`, 500_000)+"]}")
		return true
	case "slow":
		select {
		case <-r.Context().Done():
		case <-time.After(5 * time.Second):
		}
		return true
	}
	return false
}

// cluster is an API server as far as it answers TokenReviews: as the
// documentation of authentication.k8s.io/v1 has it.
type cluster struct {
	*httptest.Server
	fault

	key    *idp.Key
	issued map[string][]string // audiences by token
	asks   string              // the token of a caller who may ask
	mu     sync.Mutex
}

func startCluster(t *testing.T) *cluster {
	key, err := idp.NewKey("RS256")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{key: key, issued: map[string][]string{}, asks: clusterToken}
	c.Server = httptest.NewServer(http.HandlerFunc(c.review))
	t.Cleanup(c.Close)
	return c
}

// token issues the token of a service account to a pod.
func (c *cluster) token(t *testing.T, namespace, account string, audiences ...string) string {
	t.Helper()
	header := jose.Object{"alg": "RS256", "kid": c.key.ID}
	now := time.Now().Unix()
	claims := jose.Object{
		"iss": "https://kubernetes.default.svc.cluster.local", "sub": "system:serviceaccount:" + namespace + ":" + account,
		"aud": audiences, "iat": now, "exp": now + 600, "jti": "jti-" + account,
		"kubernetes.io": jose.Object{"namespace": namespace, "serviceaccount": jose.Object{"name": account}},
	}
	token, err := jose.Compact(header.Bytes(), claims.Bytes(), jose.KeySigner(c.key.Private, c.key.Alg))
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.issued[token] = audiences
	return token
}

// rotate gives the cluster new keys, which ends all tokens, and who may ask
// another token.
func (c *cluster) rotate(t *testing.T, asks string) {
	t.Helper()
	key, err := idp.NewKey("RS256")
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.key, c.asks, c.issued = key, asks, map[string][]string{}
}

// remove deletes the pod that a token is bound to.
func (c *cluster) remove(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.issued, token)
}

func (c *cluster) asking() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asks
}

func (c *cluster) review(w http.ResponseWriter, r *http.Request) {
	if c.broken(w, r) {
		return
	}
	var review struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Spec       struct {
			Token     string   `json:"token"`
			Audiences []string `json:"audiences"`
		} `json:"spec"`
	}
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews":
		http.NotFound(w, r)
		return
	case r.Header.Get("Authorization") != "Bearer "+c.asking():
		w.WriteHeader(http.StatusUnauthorized)
		return
	case json.NewDecoder(r.Body).Decode(&review) != nil || review.APIVersion != "authentication.k8s.io/v1" || review.Kind != "TokenReview":
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	audiences, known := c.issued[review.Spec.Token]
	c.mu.Unlock()
	var both []string
	for _, a := range audiences {
		if slices.Contains(review.Spec.Audiences, a) {
			both = append(both, a)
		}
	}
	status := map[string]any{"user": map[string]any{}, "error": "invalid bearer token"}
	if known && both != nil {
		status = map[string]any{"authenticated": true, "audiences": both, "user": map[string]any{
			"username": subjectOf(review.Spec.Token), "uid": "7d1c", "groups": []string{"system:serviceaccounts", "system:authenticated"},
			"extra": map[string][]string{"authentication.kubernetes.io/pod-name": {"pod-1"}},
		}}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status})
}

func subjectOf(token string) string {
	parts, err := jose.Parse(token)
	if err != nil {
		return ""
	}
	subject, _ := parts.Claims["sub"].(string)
	return subject
}

// identityService is a company's own service that knows people by password.
type identityService struct {
	*httptest.Server
	fault

	mu     sync.Mutex
	carols string // password
}

// password changes carol's.
func (s *identityService) password(now string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.carols = now
}

func (s *identityService) isCarols(password string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.carols == password
}

const serviceKey = "the-gateway's-key-at-the-service"

func startIdentityService(t *testing.T) *identityService {
	s := &identityService{carols: "correct horse"}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.broken(w, r) {
			return
		}
		var q struct{ Kind, Username, Secret string }
		if r.Header.Get("X-Service-Key") != serviceKey || json.NewDecoder(r.Body).Decode(&q) != nil || q.Kind != "password" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		switch {
		case q.Username == "carol" && s.isCarols(q.Secret):
			_ = json.NewEncoder(w).Encode(map[string]any{"name": "carol", "groups": []string{"readers"}})
		case q.Username == "carol":
			w.WriteHeader(http.StatusUnauthorized)
		case q.Username == "disabled":
			w.WriteHeader(http.StatusForbidden)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	return s
}
