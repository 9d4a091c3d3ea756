package authn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"
)

// errRefused says that the provider does not accept a password.
var errRefused = errors.New("refused by the provider")

// refusals are the codes of RFC 6749 §5.2 that say so. The others are about
// the request, which is ours.
var refusals = []string{"invalid_client", "invalid_grant", "unauthorized_client", "access_denied"}

// exchangeRequest sends token requests.
type exchangeRequest struct {
	client     *http.Client
	endpoint   func(context.Context) (string, error)
	scopes     []string
	parameters map[string]string
	log        *zap.Logger
}

func newExchangeRequest(c BasicExchangeConfig, client *http.Client, now func() time.Time, log *zap.Logger) exchangeRequest {
	r := exchangeRequest{
		client: client, scopes: slices.Clone(c.Scopes), parameters: maps.Clone(c.Parameters),
		log: log.With(zap.String("issuer", c.Issuer)),
	}
	if c.TokenEndpoint != "" {
		r.endpoint = func(context.Context) (string, error) { return c.TokenEndpoint, nil }
	} else {
		r.endpoint = (&endpointDiscovery{issuer: c.Issuer, insecure: c.InsecureIssuer, client: client, now: now}).get
	}
	return r
}

// clientAuth is how a client proves itself to the provider.
type clientAuth struct{ method, id, secret string }

// exchangedTokens is a successful answer (RFC 6749 §5.1).
type exchangedTokens struct {
	AccessToken string `json:"access_token"`
	IDToken     string `json:"id_token"`
}

// send asks for tokens. What the provider writes about a refusal goes into
// the error, unless it repeats secret.
func (x *exchangeRequest) send(ctx context.Context, form url.Values, auth clientAuth, secret string) (exchangedTokens, error) {
	tokens, err := x.post(ctx, form, auth, secret)
	if errors.Is(err, ErrUnavailable) {
		x.log.Warn("exchange failed", zap.Error(err))
	}
	return tokens, err
}

func (x *exchangeRequest) post(ctx context.Context, form url.Values, auth clientAuth, secret string) (tokens exchangedTokens, err error) {
	endpoint, err := x.endpoint(ctx)
	if err != nil {
		return tokens, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if scopes := slices.Concat(form["scope"], x.scopes); len(scopes) > 0 {
		slices.Sort(scopes)
		form.Set("scope", strings.Join(slices.Compact(scopes), " "))
	}
	for name, value := range x.parameters {
		form.Set(name, value)
	}
	inBody := auth.method == ClientAuthPost || auth.secret == ""
	if inBody {
		form.Set("client_id", auth.id)
		if auth.secret != "" {
			form.Set("client_secret", auth.secret)
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return tokens, fmt.Errorf("%w: token endpoint: %w", ErrUnavailable, shortened(err))
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	if !inBody {
		r.SetBasicAuth(url.QueryEscape(auth.id), url.QueryEscape(auth.secret)) // RFC 6749 §2.3.1
	}
	response, err := x.client.Do(r)
	if err != nil {
		return tokens, fmt.Errorf("%w: token endpoint: %w", ErrUnavailable, shortened(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return tokens, fmt.Errorf("%w: token endpoint: %w", ErrUnavailable, shortened(err))
	}
	if response.StatusCode != http.StatusOK {
		return tokens, refusal(response.StatusCode, body, secret)
	}
	if err := json.Unmarshal(body, &tokens); err != nil {
		return tokens, fmt.Errorf("%w: token endpoint: the answer is not JSON", ErrUnavailable)
	}
	return tokens, nil
}

// refusal turns an error answer into an error. Only what the provider clearly
// says of the password is a refusal.
func refusal(status int, body []byte, secret string) error {
	var answer struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &answer) != nil {
		answer.Error, answer.Description = "", ""
	}
	reason := fmt.Sprintf("status %d", status)
	if answer.Error != "" {
		reason = fmt.Sprintf("%.60q", answer.Error)
	}
	if d := answer.Description; d != "" && !strings.Contains(d, secret) {
		reason += fmt.Sprintf(" (%.120q)", d)
	}
	said := slices.Contains(refusals, answer.Error) && status >= 400 && status < 500
	if said || status == http.StatusUnauthorized && answer.Error == "" {
		return fmt.Errorf("%w: %s", errRefused, reason)
	}
	return fmt.Errorf("%w: token endpoint answers %s", ErrUnavailable, reason)
}

// endpointDiscovery finds an issuer's token endpoint. Those who need it at
// the same time wait for one answer.
type endpointDiscovery struct {
	issuer   string
	insecure bool
	client   *http.Client
	now      func() time.Time

	flights singleflight.Group
	found   atomic.Pointer[foundEndpoint]
}

type foundEndpoint struct {
	address string
	at      time.Time
}

// get returns the endpoint. One that was found earlier goes on being used
// while the provider does not answer.
func (d *endpointDiscovery) get(ctx context.Context) (string, error) {
	found := d.found.Load()
	if found != nil && d.now().Sub(found.at) < discoveryAge {
		return found.address, nil
	}
	done := d.flights.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
		defer cancel()
		document, err := discoverIssuer(ctx, d.client, d.issuer)
		if err != nil {
			return "", err
		}
		if err := checkDiscovered("token_endpoint", document.TokenEndpoint, d.issuer, d.insecure); err != nil {
			return "", err
		}
		d.found.Store(&foundEndpoint{document.TokenEndpoint, d.now()})
		return document.TokenEndpoint, nil
	})
	select {
	case r := <-done:
		address, _ := r.Val.(string)
		if r.Err != nil && found != nil {
			return found.address, nil
		}
		return address, r.Err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
