package authn

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// refresher is a provider that answers refresh tokens as it is told.
type refresher struct {
	*httptest.Server
	key      testKey
	status   int
	answer   object
	userinfo object
	got      []string
}

func newRefresher(t *testing.T) *refresher {
	t.Helper()
	p := &refresher{key: newECKey("k"), status: http.StatusOK}
	mux := http.NewServeMux()
	send := func(w http.ResponseWriter, status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		d := object{"issuer": p.URL, "jwks_uri": p.URL + "/jwks", "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token"}
		if p.userinfo != nil {
			d["userinfo_endpoint"] = p.URL + "/userinfo"
		}
		send(w, http.StatusOK, d)
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		send(w, http.StatusOK, object{"keys": []object{p.key.jwk()}})
	})
	mux.HandleFunc("/userinfo", func(w http.ResponseWriter, _ *http.Request) { send(w, http.StatusOK, p.userinfo) })
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		user, secret, _ := r.BasicAuth()
		p.got = append(p.got, fmt.Sprint(r.PostFormValue("grant_type"), " ", r.PostFormValue("refresh_token"), " ", user, " ", secret))
		send(w, p.status, p.answer)
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *refresher) authenticator(t *testing.T) *OIDC {
	t.Helper()
	a, err := NewOIDC(OIDCConfig{
		Issuer: p.URL, ClientID: "registry", ClaimsConfig: ClaimsConfig{RequiredGroups: []string{"dev"}}, SignInConfig: SignInConfig{ClientSecret: "s"},
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (p *refresher) claims(more object) object {
	now := time.Now().Unix()
	c := object{"iss": p.URL, "aud": "registry", "sub": "a", "preferred_username": "alice", "groups": []string{"dev"}, "iat": now, "exp": now + 60}
	for name, v := range more {
		c[name] = v
	}
	return c
}

func TestRefreshRefused(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		answer object
		want   error
	}{
		"gone":               {400, object{"error": "invalid_grant"}, ErrDisabled},
		"gone, says 401":     {401, object{"error": "invalid_grant"}, ErrDisabled},
		"our client refused": {401, object{"error": "invalid_client"}, ErrUnavailable},
		"not allowed to us":  {400, object{"error": "unauthorized_client"}, ErrUnavailable},
		"broken":             {500, object{"error": "invalid_grant"}, ErrUnavailable},
		"busy":               {503, object{}, ErrUnavailable},
		"slow down":          {429, object{"error": "slow_down"}, ErrUnavailable},
		"nothing":            {200, object{}, ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			p := newRefresher(t)
			p.status, p.answer = test.status, test.answer
			_, err := p.authenticator(t).Refresh(t.Context(), "rt")
			if !errors.Is(err, test.want) || errors.Is(err, ErrDisabled) != (test.want == ErrDisabled) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
	t.Run("away", func(t *testing.T) {
		p := newRefresher(t)
		a := p.authenticator(t)
		p.Close()
		if _, err := a.Refresh(t.Context(), "rt"); !errors.Is(err, ErrUnavailable) {
			t.Error(err)
		}
	})
}

func TestRefresh(t *testing.T) {
	for name, test := range map[string]struct {
		idToken  object // nil: none
		userinfo object
		want     string // the groups, or the error
	}{
		"ID token":                {object{}, nil, "[dev]"},
		"with userinfo":           {object{"groups": nil}, object{"sub": "a", "groups": []string{"dev", "ops"}}, "[]"},
		"userinfo alone":          {nil, object{"sub": "a", "preferred_username": "alice", "groups": []string{"dev", "ops"}, "aud": "x", "iss": "y"}, "[dev ops]"},
		"neither":                 {nil, nil, "nobody"},
		"another user":            {object{"sub": "b"}, nil, ErrInvalid.Error()},
		"another user, userinfo":  {nil, object{"sub": "b", "preferred_username": "alice", "groups": []string{"dev"}}, ErrInvalid.Error()},
		"another client":          {object{"aud": "other"}, nil, ErrInvalid.Error()},
		"in no group any more":    {object{"groups": []string{}}, nil, ErrDisabled.Error()},
		"expired when it is made": {object{"exp": 1000}, nil, ErrExpired.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			p := newRefresher(t)
			p.userinfo = test.userinfo
			p.answer = object{"access_token": "at", "token_type": "Bearer", "refresh_token": "next"}
			if test.idToken != nil {
				claims := p.claims(test.idToken)
				if test.idToken["groups"] == nil && test.userinfo != nil {
					delete(claims, "groups")
					test.want = "[dev ops]"
				}
				p.answer["id_token"] = p.key.sign(nil, claims)
			}
			a := p.authenticator(t)
			r, err := a.Refresh(t.Context(), "rt")
			if err != nil || r.RefreshToken != "next" || p.got[0] != "refresh_token rt registry s" {
				t.Fatal(r, err, p.got)
			}
			principal, err := a.Describe(t.Context(), r, "a")
			got := "nobody"
			switch {
			case err != nil:
				for _, sentinel := range []error{ErrInvalid, ErrDisabled, ErrExpired} {
					if errors.Is(err, sentinel) {
						got = sentinel.Error()
					}
				}
			case principal != nil:
				got = fmt.Sprint(principal.Groups)
			}
			if got != test.want {
				t.Errorf("%s (%v), want %s", got, err, test.want)
			}
		})
	}
}
