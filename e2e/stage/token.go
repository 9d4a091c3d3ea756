package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// ErrNobody says that the scene has nobody of that name who can log in.
var ErrNobody = errors.New("nobody of that name")

// TokenPath is where the token endpoint answers besides its default path.
const TokenPath = "/token"

// Token asks the token endpoint for a registry token. An empty login asks for
// an anonymous one.
func (s *Stage) Token(ctx context.Context, login string, scopes ...string) (string, error) {
	query := url.Values{"service": {Service}, "scope": scopes}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+TokenPath+"?"+query.Encode(), nil)
	if err != nil {
		return "", err
	}
	if login != "" {
		password, err := s.Password(login)
		if err != nil {
			return "", err
		}
		req.SetBasicAuth(login, password)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("token for %q: %s: %.300s", login, res.Status, body)
	}
	var answer struct{ Token string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("token for %q: %w", login, err)
	}
	return answer.Token, nil
}
