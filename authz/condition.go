package authz

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	_ "time/tzdata" // containers often have no time zones
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

// hours are a span of the day on some days of the week. A span that ends
// before it begins goes over midnight and belongs to the day it begins on.
type hours struct {
	from, to int // minutes since midnight, to is excluded
	days     [7]bool
	zone     *time.Location
}

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// parseHours parses "08:00-18:00 Mon-Fri,Sun Europe/Berlin"; days and zone
// may be left out, which is every day and UTC.
func parseHours(text string) (*hours, error) {
	h := &hours{days: [7]bool{true, true, true, true, true, true, true}, zone: time.UTC}
	fail := func(err error) (*hours, error) {
		return nil, fmt.Errorf("between %q: %w; want for example 08:00-18:00 Mon-Fri Europe/Berlin", text, err)
	}
	fields := strings.Fields(text)
	if len(fields) == 0 || len(fields) > 3 {
		return fail(errors.New("want hours, days, time zone"))
	}
	from, to, ok := strings.Cut(fields[0], "-")
	if !ok {
		return fail(errors.New("the hours are missing"))
	}
	var err error
	if h.from, err = parseMinutes(from); err != nil {
		return fail(err)
	}
	if h.to, err = parseMinutes(to); err != nil {
		return fail(err)
	}
	if h.from == h.to {
		return fail(errors.New("the hours are empty"))
	}
	rest := fields[1:]
	if len(rest) > 0 && (len(rest) == 2 || looksLikeDays(rest[0])) {
		if h.days, err = parseDays(rest[0]); err != nil {
			return fail(err)
		}
		rest = rest[1:]
	}
	if len(rest) > 0 {
		if h.zone, err = time.LoadLocation(rest[0]); err != nil || rest[0] == "Local" {
			return fail(fmt.Errorf("unknown time zone %q", rest[0]))
		}
	}
	return h, nil
}

func parseMinutes(text string) (int, error) {
	if text == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf("%q is not an hour and minute", text)
	}
	return t.Hour()*60 + t.Minute(), nil
}

// looksLikeDays tells days from a time zone: they begin with a day's name
// and a zone that does, such as "WET", does not go on with a comma or dash.
func looksLikeDays(text string) bool {
	first, _, _ := strings.Cut(text, ",")
	first, _, _ = strings.Cut(first, "-")
	_, err := parseDay(first)
	return err == nil
}

func parseDays(text string) (days [7]bool, err error) {
	for item := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(item, "-")
		from, err := parseDay(first)
		if err != nil {
			return days, err
		}
		to := from
		if isRange {
			if to, err = parseDay(last); err != nil {
				return days, err
			}
		}
		for day := from; ; day = (day + 1) % len(days) {
			days[day] = true
			if day == to {
				break
			}
		}
	}
	return days, nil
}

func parseDay(text string) (int, error) {
	for i, name := range dayNames {
		if strings.EqualFold(text, name) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("unknown day %q: want Mon, Tue, Wed, Thu, Fri, Sat or Sun", text)
}

// contain reports whether a moment is within the hours.
func (h *hours) contain(t time.Time) bool {
	t = t.In(h.zone)
	minute, day := t.Hour()*60+t.Minute(), int(t.Weekday())
	switch {
	case h.from < h.to:
		return h.days[day] && h.from <= minute && minute < h.to
	case minute >= h.from:
		return h.days[day]
	case minute < h.to:
		return h.days[(day+6)%7]
	}
	return false
}

// Restrictions returns what restricts a rule, as it was written: the tags it
// is about and its conditions, such as "from 10.0.0.0/8". It is empty for a
// rule that always holds.
func (r *Rule) Restrictions() []string {
	var list []string
	if len(r.Tags) > 0 && r.Kind != RuleImmutable {
		list = append(list, "tags "+strings.Join(r.Tags, " "))
	}
	if r.conditions == nil {
		return list
	}
	written := &r.conditions.written
	if len(written.From) > 0 {
		list = append(list, "from "+strings.Join(written.From, " "))
	}
	if written.Until != "" {
		list = append(list, "until "+written.Until)
	}
	if written.Between != "" {
		list = append(list, "between "+written.Between)
	}
	if written.When != "" {
		list = append(list, "when `"+written.When+"`")
	}
	return list
}
