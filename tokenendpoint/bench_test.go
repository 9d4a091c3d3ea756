package tokenendpoint

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

// robotStage is an endpoint with one robot, as it is in service.
func robotStage(b *testing.B) (http.Handler, string) {
	b.Helper()
	s := newStage(b)
	secret, stored := authn.NewSecret(authn.SecretRobot)
	robots, err := authn.NewRobots([]authn.RobotConfig{{Name: "ci", SecretHashes: []string{stored}}}, nil, nil, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	chain := authn.NewChain([]authn.Member{authn.NewMember("registry_token", s.verifier), authn.NewMember(authn.RobotsName, robots)},
		authn.NewThrottle(nil))
	s.Authenticate, s.Now = chain.Authenticate, nil
	s.ring = openRing(b, keys.Config{})
	s.Keys, s.Record = s.ring, func(*http.Request, Record) {}
	return s.Endpoint, basic("robot$ci", secret)
}

// bare is a handler that does nothing but sign one ES256 JWT with golang-jwt.
func bare(b *testing.B) http.Handler {
	b.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		now := time.Now().Unix()
		token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
			"iss": "reg.test", "sub": "ci", "aud": "reg.test", "exp": now + 300, "nbf": now - 60, "iat": now, "jti": rand.Text(),
			"access": []authn.Limit{{Type: "repository", Name: "team/app", Actions: []string{"pull"}}},
		})
		token.Header["kid"] = "k"
		signed, err := token.SignedString(private)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"token":"`+signed+`"}`)
	})
}

const benchQuery = "/v2/token?account=robot%24ci&scope=repository%3Ateam%2Fapp%3Apull%2Cpush&service=reg.test"

func BenchmarkEndpoint(b *testing.B) {
	endpoint, authorization := robotStage(b)
	for _, c := range []struct {
		name    string
		handler http.Handler
	}{{"ours", endpoint}, {"bare", bare(b)}} {
		b.Run("handler/"+c.name, func(b *testing.B) {
			r := httptest.NewRequest("GET", benchQuery, nil)
			r.Header.Set("Authorization", authorization)
			b.ReportAllocs()
			for b.Loop() {
				w := discard{http.Header{}}
				c.handler.ServeHTTP(w, r)
				if w.h.Get("Www-Authenticate") != "" {
					b.Fatal("refused")
				}
			}
		})
		b.Run("http/"+c.name, func(b *testing.B) {
			server := httptest.NewServer(c.handler)
			defer server.Close()
			client := server.Client()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r, _ := http.NewRequest("GET", server.URL+benchQuery, nil)
					r.Header.Set("Authorization", authorization)
					answer, err := client.Do(r)
					if err != nil {
						b.Error(err)
						return
					}
					body, _ := io.ReadAll(answer.Body)
					answer.Body.Close()
					if !strings.Contains(string(body), `"token"`) {
						b.Errorf("%s", body)
						return
					}
				}
			})
		})
	}
}

func BenchmarkSign(b *testing.B) {
	payload := []byte(strings.Repeat("x", 400))
	for _, algorithm := range []keys.Algorithm{keys.ES256, keys.EdDSA, keys.RS256} {
		b.Run(string(algorithm), func(b *testing.B) {
			r := openRing(b, keys.Config{Algorithm: algorithm})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Sign(payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

var _ Authorizer = (*authz.Policy)(nil)
