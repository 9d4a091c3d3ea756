package caddyfile

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	spans "github.com/caddy-registry-auth/caddy-registry-auth/internal/duration"
)

// duration reads the one duration of a directive that stands once; "30d" is
// thirty days. A word, if there is one, says that there is no end.
func duration[T ~int64](d *caddyfile.Dispenser, to *T, never string) error {
	name, text := d.Val(), ""
	if *to != 0 {
		return Twice(d, name)
	}
	if err := scalar(d, &text); err != nil {
		return err
	}
	if never != "" && text == never {
		*to = -1
		return nil
	}
	parsed, err := spans.Parse(text)
	if err != nil || parsed <= 0 {
		return d.Errf("%s: %q is not a duration such as 10m", name, text)
	}
	*to = T(parsed)
	return nil
}

// appendList reads the arguments of a directive that may stand several times.
func appendList(d *caddyfile.Dispenser, to *[]string) error {
	more, err := list(d)
	*to = append(*to, more...)
	return err
}
