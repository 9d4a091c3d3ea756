package caddyfile

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
)

var errEmptySetting = errors.New("is empty")

// Resolve replaces the placeholders of a setting. A placeholder that is empty
// or unknown is an error: what has a secret must not go on without.
func Resolve(name, value string) (string, error) {
	if value == "" {
		return "", fmt.Errorf("%s %w", name, errEmptySetting)
	}
	resolved, err := caddy.NewReplacer().ReplaceOrErr(value, true, true)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	if resolved == "" {
		return "", fmt.Errorf("%s %w", name, errEmptySetting)
	}
	return resolved, nil
}
