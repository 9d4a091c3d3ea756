package authn

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/oauth2"
)

// userInfo asks the provider about the user (OpenID Connect Core §5.3).
func (a *OIDC) userInfo(ctx context.Context, m *metadata, token *oauth2.Token) (map[string]any, error) {
	if err := a.source.checkEndpoint("userinfo_endpoint", m.UserInfo); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	var claims map[string]any
	if err := a.ask(ctx, http.MethodGet, m.UserInfo, nil, token, &claims); err != nil {
		return nil, fmt.Errorf("userinfo: %w (with `userinfo off` it is not asked)", err)
	}
	return claims, nil
}

// ask sends a request with the access token and reads the JSON of the answer.
func (a *OIDC) ask(ctx context.Context, method, address string, body any, token *oauth2.Token, answer any) error {
	var send io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		send = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, method, address, send)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, shortened(err))
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Authorization", "Bearer "+token.AccessToken)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.source.client.Do(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, shortened(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: the provider answers %d", ErrUnavailable, resp.StatusCode)
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "application/jwt" {
		return fmt.Errorf("%w: the provider signs this answer, which is not read: switch that off for the client", ErrInvalid)
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("%w: the provider's answer is not JSON", ErrUnavailable)
	}
	return nil
}

// Where Microsoft Entra ID keeps the groups of users who have too many for a
// token, and the old address that it still names.
const (
	entraOldHost   = "graph.windows.net"
	entraGroups    = "https://graph.microsoft.com/v1.0/me/getMemberObjects"
	claimNamesKey  = "_claim_names"
	claimSourceKey = "_claim_sources"
)

// fetchGroups puts the groups in their place if the token only points to them
// (OpenID Connect Core §5.6.2, in Entra's form). They are fetched from the
// provider itself or from Microsoft Graph and from nowhere else that a token
// might name.
func (a *OIDC) fetchGroups(ctx context.Context, claims map[string]any, token *oauth2.Token) error {
	names, _ := claims[claimNamesKey].(map[string]any)
	source, pointed := names[a.rules.groups].(string)
	if !pointed {
		return nil
	}
	sources, _ := claims[claimSourceKey].(map[string]any)
	described, _ := sources[source].(map[string]any)
	endpoint, _ := described["endpoint"].(string)
	if strings.HasPrefix(endpoint, "https://"+entraOldHost+"/") {
		endpoint = entraGroups
	} else if err := a.trustsSource(endpoint); err != nil {
		return err
	}
	var found struct {
		Value []string `json:"value"`
	}
	if err := a.ask(ctx, http.MethodPost, endpoint, map[string]bool{"securityEnabledOnly": false}, token, &found); err != nil {
		return fmt.Errorf("the provider leaves %q out of the token because there are too many, and they cannot be fetched: %w: "+
			"give the client the right to read them (Entra: scope https://graph.microsoft.com/GroupMember.Read.All), or have only the needed ones sent", a.rules.groups, err)
	}
	kept := maps.Clone(names)
	delete(kept, a.rules.groups)
	claims[claimNamesKey] = kept
	list := make([]any, len(found.Value))
	for i, g := range found.Value {
		list[i] = g
	}
	claims[a.rules.groups] = list
	return nil
}

func (a *OIDC) trustsSource(endpoint string) error {
	u, err := url.Parse(endpoint)
	issuer, _ := url.Parse(a.issuer)
	if err != nil || u.Scheme != issuer.Scheme || u.User != nil || u.Host != issuer.Host && endpoint != entraGroups {
		return fmt.Errorf("%w: the provider leaves %q out of the token and points to another server, which is not asked: configure it to send only those that the registry needs", ErrInvalid, a.rules.groups)
	}
	return nil
}
