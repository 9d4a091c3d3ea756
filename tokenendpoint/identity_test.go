package tokenendpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// logins are identity tokens by their owner's name.
type logins struct {
	tokens map[string]*authn.Principal
	away   bool
	asked  []authn.TokenClient
	rotate bool
}

func (l *logins) Authenticate(_ context.Context, c *authn.Credential) (*authn.Principal, error) {
	if c.Scheme != authn.SchemeIdentityToken {
		return nil, authn.ErrNotMine
	}
	if p, ok := l.tokens[c.Secret]; ok {
		return p, nil
	}
	return nil, authn.ErrInvalid
}

func (l *logins) OwnsScheme(s authn.Scheme) bool { return s == authn.SchemeIdentityToken }

func (l *logins) IssueIdentityToken(_ context.Context, p *authn.Principal, c authn.TokenClient) (string, error) {
	l.asked = append(l.asked, c)
	if l.away {
		return "", fmt.Errorf("%w: the store", authn.ErrUnavailable)
	}
	if p.Kind != authn.KindUser {
		return "", nil
	}
	secret, _ := authn.NewSecret(authn.SecretIdentityToken)
	l.tokens[secret] = p
	return secret, nil
}

func (l *logins) ExchangeIdentityToken(_ context.Context, p *authn.Principal, secret string, c authn.TokenClient) (string, error) {
	l.asked = append(l.asked, c)
	switch {
	case c.Service == "harbor-registry":
		return "", authn.ErrInvalid
	case !c.Renew:
		return "", nil
	case l.rotate:
		next, _ := authn.NewSecret(authn.SecretIdentityToken)
		l.tokens[next] = p
		return next, nil
	}
	return secret, nil
}

func newLoginStage(t *testing.T) (*stage, *logins) {
	t.Helper()
	s, l := newStage(t), &logins{tokens: map[string]*authn.Principal{}}
	people := s.Authenticate
	chain := authn.NewChain([]authn.Member{authn.NewMember(authn.IdentityTokensName, l)}, nil)
	s.Authenticate = func(ctx context.Context, c *authn.Credential) (*authn.Principal, error) {
		if c.Scheme == authn.SchemeIdentityToken {
			return chain.Authenticate(ctx, c)
		}
		return people(ctx, c)
	}
	s.Identity = l
	return s, l
}

func (s *stage) form(form url.Values) (*httptest.ResponseRecorder, map[string]any) {
	r := httptest.NewRequest(http.MethodPost, "/v2/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	answer := map[string]any{}
	_ = json.Unmarshal(w.Body.Bytes(), &answer)
	return w, answer
}

func first(w *httptest.ResponseRecorder, _ map[string]any) *httptest.ResponseRecorder { return w }

func refreshToken(w *httptest.ResponseRecorder) string {
	var answer struct {
		RefreshToken string `json:"refresh_token"`
	}
	_ = json.Unmarshal(w.Body.Bytes(), &answer)
	return answer.RefreshToken
}

func TestIdentityTokenIsHandedOut(t *testing.T) {
	s, l := newLoginStage(t)
	for name, test := range map[string]struct {
		query, user string
		want        bool
	}{
		"docker login":   {"service=reg.test&client_id=docker&offline_token=true", "alice", true},
		"docker pull":    {"service=reg.test&client_id=docker&scope=repository:team/app:pull", "alice", false},
		"said otherwise": {"service=reg.test&offline_token=false", "alice", false},
		"a robot":        {"service=reg.test&offline_token=true", "robot$ci", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.get(test.query, basic(test.user, test.user))
			if w.Code != http.StatusOK || (refreshToken(w) != "") != test.want {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	t.Run("nobody", func(t *testing.T) {
		if w := s.get("service=reg.test&offline_token=true&scope=repository:pub/app:pull"); w.Code != http.StatusOK || refreshToken(w) != "" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
	t.Run("POST", func(t *testing.T) {
		w, _ := s.form(url.Values{"grant_type": {"password"}, "username": {"alice"}, "password": {"alice"}, "access_type": {"offline"}, "service": {"reg.test"}, "client_id": {"x"}})
		if refreshToken(w) == "" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		last := l.asked[len(l.asked)-1]
		if last.Service != "reg.test" || last.ClientID != "x" || last.Remote.String() != "192.0.2.7" {
			t.Errorf("%+v", last)
		}
		if rec := s.records[len(s.records)-1]; len(rec.IdentityToken) != 12 {
			t.Errorf("recorded %q", rec.IdentityToken)
		}
	})
	t.Run("store away", func(t *testing.T) {
		l.away = true
		for _, answer := range []*httptest.ResponseRecorder{
			s.get("service=reg.test&offline_token=true", basic("alice", "alice")),
			first(s.form(url.Values{"grant_type": {"password"}, "username": {"alice"}, "password": {"alice"}, "access_type": {"offline"}, "service": {"reg.test"}, "client_id": {"x"}})),
		} {
			if answer.Code != http.StatusOK || refreshToken(answer) != "" || !strings.Contains(answer.Body.String(), "token") {
				t.Errorf("%d %s", answer.Code, answer.Body)
			}
			if rec := s.records[len(s.records)-1]; rec.Err == nil || !errors.Is(rec.Err, authn.ErrUnavailable) {
				t.Errorf("recorded %v", rec.Err)
			}
		}
	})
	t.Run("switched off", func(t *testing.T) {
		s.Identity = nil
		if w := s.get("service=reg.test&offline_token=true", basic("alice", "alice")); w.Code != http.StatusOK || refreshToken(w) != "" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w, answer := s.form(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}); w.Code != http.StatusBadRequest || answer["error"] != "unsupported_grant_type" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

func TestIdentityTokenIsExchanged(t *testing.T) {
	s, l := newLoginStage(t)
	token := refreshToken(s.get("service=reg.test&offline_token=true", basic("alice", "alice")))
	exchange := func(more url.Values) (*httptest.ResponseRecorder, map[string]any) {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "service": {"reg.test"}, "client_id": {"docker"}, "scope": {"repository:team/app:pull,push repository:other/app:pull"}}
		for name, v := range more {
			form[name] = v
		}
		return s.form(form)
	}
	w, answer := exchange(nil)
	if w.Code != http.StatusOK || answer["access_token"] == "" || answer["scope"] != "repository:team/app:pull,push" || answer["refresh_token"] != nil {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if rec := s.records[len(s.records)-1]; rec.Grant != GrantRefresh || rec.Principal.Name != "alice" || rec.IdentityToken != "" {
		t.Errorf("%+v", rec)
	}
	if _, answer := exchange(url.Values{"access_type": {"offline"}}); answer["refresh_token"] != token {
		t.Errorf("%v", answer)
	}
	l.rotate = true
	if _, answer := exchange(url.Values{"access_type": {"offline"}}); answer["refresh_token"] == token || answer["refresh_token"] == nil {
		t.Errorf("%v", answer)
	}
	for name, more := range map[string]url.Values{
		"wrong":           {"refresh_token": {"crait_x"}},
		"another service": {"service": {"harbor-registry"}},
	} {
		if w, answer := exchange(more); w.Code != http.StatusUnauthorized || answer["error"] != "invalid_grant" || answer["access_token"] != nil {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w, _ := exchange(url.Values{"refresh_token": {""}}); w.Code != http.StatusBadRequest {
		t.Errorf("none: %d", w.Code)
	}
}
