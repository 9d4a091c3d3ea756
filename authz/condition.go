package authz

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// conditions restrict when a rule applies; nil is always.
type conditions struct {
	from    []netip.Prefix
	until   time.Time
	between *hours
	when    *expression

	written Conditions // as in the configuration
}

// outcome is whether conditions hold. Of several the last in this order
// counts.
type outcome uint8

const (
	holds   outcome = iota
	later           // only the request itself will tell
	unclear         // it cannot be evaluated
	fails
)

// applies reports whether a rule counts. What is unclear never helps the one
// who asks; what only the request will tell does not stop a token.
func (o outcome) applies(deny bool) bool {
	switch o {
	case holds:
		return true
	case later:
		return !deny
	case unclear:
		return deny
	case fails:
	}
	return false
}

// conditions compiles the conditions of a rule.
func (c *compiler) conditions(in Conditions) (*conditions, error) {
	if in.When == "" && len(in.From) == 0 && in.Until == "" && in.Between == "" {
		return nil, nil
	}
	var errs []error
	out := &conditions{written: in}
	for _, text := range in.From {
		prefix, err := parsePrefix(text)
		out.from, errs = append(out.from, prefix), append(errs, err)
	}
	var err error
	if in.Until != "" {
		out.until, err = parseUntil(in.Until)
		errs = append(errs, err)
	}
	if in.Between != "" {
		out.between, err = parseHours(in.Between)
		errs = append(errs, err)
	}
	if in.When != "" {
		out.when, err = c.expression(in.When)
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}

// hold evaluates the conditions for one action.
func (c *conditions) hold(f *facts, action Action) outcome {
	result := holds
	if c.from != nil {
		result = within(c.from, f.query.Remote)
	}
	if !c.until.IsZero() && !f.now().Before(c.until) ||
		c.between != nil && !c.between.contain(f.now()) {
		return fails
	}
	if c.when != nil && result != fails {
		result = max(result, c.when.hold(f, action))
	}
	return result
}

// within reports whether an address is in one of the networks. IPv4-mapped
// addresses are the IPv4 addresses they stand for.
func within(networks []netip.Prefix, addr netip.Addr) outcome {
	if !addr.IsValid() {
		return unclear
	}
	addr = addr.Unmap().WithZone("")
	for _, n := range networks {
		if n.Contains(addr) {
			return holds
		}
	}
	return fails
}

// parsePrefix parses a network in CIDR notation or a single address.
func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return prefix, fmt.Errorf("from %q: want a network such as 10.0.0.0/8 or an address", text)
	}
	if addr := prefix.Addr(); addr.Is4In6() {
		const mapped = 96 // ::ffff:0:0/96
		if prefix.Bits() < mapped {
			return prefix, fmt.Errorf("from %q: an IPv4-mapped network has at least 96 bits", text)
		}
		prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-mapped)
	}
	if prefix != prefix.Masked() {
		return prefix, fmt.Errorf("from %q: bits behind the prefix are set; did you mean %q?", text, prefix.Masked())
	}
	return prefix, nil
}

// parseUntil parses a time, or a date whose end it is.
func parseUntil(text string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("until %q: want 2006-01-31 or 2006-01-31T18:00:00Z", text)
	}
	return t, nil
}
