package cli

import (
	"fmt"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/duration"
)

// parseTime reads when something ends: a time, a date, how long from now, or
// "never" and nothing for nil.
func (t *tool) parseTime(flag, text string) (*time.Time, error) {
	if text == "" || text == "never" {
		return nil, nil
	}
	if at, err := authn.ParseExpiry(text); err == nil {
		return &at, nil
	}
	d, err := duration.Parse(text)
	if err != nil || d <= 0 {
		return nil, fmt.Errorf("--%s %.40q: want a date such as 2027-01-31, a time such as 2027-01-31T18:00:00Z, a duration such as 90d, or never", flag, text)
	}
	at := t.Now().Add(time.Duration(d)).UTC().Truncate(time.Second)
	return &at, nil
}

// parsePast reads a time that has passed: a time, a date, or how long ago.
func (t *tool) parsePast(flag, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if at, err := authn.ParseExpiry(text); err == nil {
		return at.Format(time.RFC3339), nil
	}
	d, err := duration.Parse(text)
	if err != nil || d <= 0 {
		return "", fmt.Errorf("--%s %.40q: want a date such as 2027-01-31, a time such as 2027-01-31T18:00:00Z, or how long ago, such as 24h", flag, text)
	}
	return t.Now().Add(-time.Duration(d)).UTC().Truncate(time.Second).Format(time.RFC3339), nil
}
