package idp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
)

// JobRequestToken is what a job shows at the address of [Certified.JobRequestURL].
const JobRequestToken = "a-job"

// JobRequestURL is where a CI job with these claims asks for tokens, as GitHub
// Actions has it in ACTIONS_ID_TOKEN_REQUEST_URL: "&audience=NAME" is added to
// it.
func (c *Certified) JobRequestURL(claims jose.Object) string {
	query := url.Values{"api-version": {"2.0"}, "claims": {string(claims.Bytes())}}
	return c.Issuer + "/jobs/token?" + query.Encode()
}

// JobToken returns a token that a CI job got some time ago. It is good for five
// minutes.
func (c *Certified) JobToken(ctx context.Context, audience string, claims jose.Object, age time.Duration) (string, error) {
	target := fmt.Sprintf("%s&audience=%s&age=%d", c.JobRequestURL(claims), url.QueryEscape(audience), int(age.Seconds()))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+JobRequestToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var answer struct{ Value string }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Value == "" {
		return "", fmt.Errorf("token of a job: %s: %w", res.Status, err)
	}
	return answer.Value, nil
}
