package caddyfile

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	spans "github.com/caddy-registry-auth/caddy-registry-auth/internal/duration"
)

// Option reads one subdirective; the dispenser stands on its name.
type Option func(d *caddyfile.Dispenser) error

// Options are the subdirectives of a block by their names. What they have in
// common is said once, and in the same words: that one is not known and which
// was probably meant, and that one is already specified.
type Options map[string]Option

// Read reads the block that follows, if there is one. After each subdirective
// it checks, if there is something to check, so that an error names the line.
func (o Options) Read(d *caddyfile.Dispenser, block string, check ...func() error) error {
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := o[d.Val()]
		if option == nil {
			return unrecognized(d, block, slices.Sorted(maps.Keys(o))...)
		}
		if err := option(d); err != nil {
			return err
		}
		for _, good := range check {
			if err := good(); err != nil {
				return d.WrapErr(err)
			}
		}
	}
	return nil
}

// And returns the options together with others.
func (o Options) And(more Options) Options {
	maps.Copy(o, more)
	return o
}

// Text is the one argument of a subdirective that stands once. Checks refuse
// what it must not be.
func Text[T ~string](to *T, checks ...Check) Option {
	return func(d *caddyfile.Dispenser) error {
		name, text := d.Val(), string(*to)
		if err := scalar(d, &text); err != nil {
			return err
		}
		*to = T(text)
		return checked(d, name, checks, text)
	}
}

// Flag is a subdirective without arguments that stands once.
func Flag(to *bool) Option {
	return func(d *caddyfile.Dispenser) error { return flag(d, to) }
}

// List is a subdirective with arguments that may stand several times.
func List(to *[]string, checks ...Check) Option {
	return func(d *caddyfile.Dispenser) error {
		name, args := d.Val(), d.RemainingArgs()
		if len(args) == 0 {
			return d.ArgErr()
		}
		*to = append(*to, args...)
		return checked(d, name, checks, args...)
	}
}

// Span is a duration. A word, if there is one, says that there is no end.
func Span[T ~int64](to *T, never ...string) Option {
	return func(d *caddyfile.Dispenser) error { return duration(d, to, strings.Join(never, "")) }
}

// Count is a number of at least one.
func Count(to *int) Option {
	return func(d *caddyfile.Dispenser) error {
		name, text := d.Val(), ""
		if *to != 0 {
			return Twice(d, name)
		}
		if err := scalar(d, &text); err != nil {
			return err
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return d.Errf("%s: %q is not a number of at least 1", name, text)
		}
		*to = n
		return nil
	}
}

// UpTo is one argument and, if it is there, a second.
func UpTo(first, second *string) Option {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if *first != "" {
			return Twice(d, name)
		}
		args := d.RemainingArgs()
		if len(args) < 1 || len(args) > 2 || args[0] == "" {
			return d.ArgErr()
		}
		*first = args[0]
		if len(args) == 2 {
			*second = args[1]
		}
		return nil
	}
}

// Both is two arguments that stand once.
func Both(first, second *string, checks ...Check) Option {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if *first != "" {
			return Twice(d, name)
		}
		if !d.AllArgs(first, second) {
			return d.ArgErr()
		}
		return checked(d, name, checks, *second)
	}
}

// Pair is a name and a value, once for each name.
func Pair(to *map[string]string, checks ...Check) Option {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		var name, value string
		if !d.AllArgs(&name, &value) {
			return d.ArgErr()
		}
		if _, taken := (*to)[name]; taken {
			return Twice(d, option+" "+name)
		}
		if *to == nil {
			*to = map[string]string{}
		}
		(*to)[name] = value
		return checked(d, option, checks, value)
	}
}

// Pairs is any number of names and values, each name once.
func Pairs(to *map[string]string) Option {
	return func(d *caddyfile.Dispenser) error {
		option, args := d.Val(), d.RemainingArgs()
		if len(args) == 0 || len(args)%2 != 0 {
			return d.Errf("%s: want pairs of a name and a value", option)
		}
		if *to == nil {
			*to = map[string]string{}
		}
		for i := 0; i < len(args); i += 2 {
			if _, taken := (*to)[args[i]]; taken {
				return Twice(d, option+" "+args[i])
			}
			(*to)[args[i]] = args[i+1]
		}
		return nil
	}
}

// Each is a subdirective that adds to a list each time it stands.
func Each[T any](to *[]T, read func(d *caddyfile.Dispenser) (T, error)) Option {
	return func(d *caddyfile.Dispenser) error {
		one, err := read(d)
		*to = append(*to, one)
		return err
	}
}

// TrustPool is a module of the namespace tls.ca_pool.source.
func TrustPool(to *json.RawMessage) Option {
	return func(d *caddyfile.Dispenser) error {
		if *to != nil {
			return Twice(d, d.Val())
		}
		if !d.NextArg() {
			return d.ArgErr()
		}
		name := d.Val()
		module, err := caddyfile.UnmarshalModule(d, "tls.ca_pool.source."+name)
		if err != nil {
			return err
		}
		ca, ok := module.(caddytls.CA)
		if !ok {
			return d.Errf("trust_pool: %s does not supply certificate authorities", name)
		}
		*to = caddyconfig.JSONModuleObject(ca, "provider", name, nil)
		return nil
	}
}

// Recheck has the options about asking whether people are still there.
func Recheck(c *authn.RecheckConfig) Options {
	return Options{
		"recheck":         Span(&c.Recheck, "off"),
		"recheck_grace":   Span(&c.RecheckGrace, "off"),
		"sign_in_max_age": Span(&c.SignInMaxAge, "off"),
	}
}

// Claims has the options about what the claims of a provider's tokens mean.
func Claims(c *authn.ClaimsConfig) Options {
	return Options{
		"username":       Text(&c.Username),
		"groups":         UpTo(&c.Groups, &c.GroupsForm),
		"roles":          UpTo(&c.Roles, &c.RolesForm),
		"prefix":         Text(&c.Prefix),
		"required_group": List(&c.RequiredGroups),
		"require_claim":  List(&c.RequiredClaims),
	}
}

// Valid checks settings that have been read, while file and line are known.
func Valid(d *caddyfile.Dispenser, settings interface{ Validate() error }) error {
	if err := settings.Validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Check refuses a value of a subdirective of that name.
type Check func(d *caddyfile.Dispenser, name, value string) error

func checked(d *caddyfile.Dispenser, name string, checks []Check, values ...string) error {
	for _, value := range values {
		for _, check := range checks {
			if err := check(d, name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// Wrapped is a check that does not know of Caddyfiles.
func Wrapped(check func(value string) error) Check {
	return func(d *caddyfile.Dispenser, _, value string) error {
		if err := check(value); err != nil {
			return d.WrapErr(err)
		}
		return nil
	}
}

// AbsoluteFile refuses {file.NAME}, which Caddy's shorthand has turned into a
// part of the request path.
func AbsoluteFile(d *caddyfile.Dispenser, name, value string) error {
	if strings.Contains(value, "{http.request.") {
		return d.Errf("%s: {file.NAME} stands for a part of the request path here: write an absolute path, {file./run/secrets/NAME}", name)
	}
	return nil
}

// NoPlaceholder refuses what looks like a placeholder: it would be compared as
// it stands, and nothing would match it.
func NoPlaceholder(d *caddyfile.Dispenser, name, value string) error {
	if strings.ContainsAny(value, "{}") {
		return d.Errf("%s: %q: placeholders are not resolved here; {$NAME} is, when the Caddyfile is read", name, value)
	}
	return nil
}

// Twice is the error for what may stand once: the later one would silently win.
func Twice(d *caddyfile.Dispenser, name string) error {
	return d.Errf("%s already specified", name)
}

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
