package authz

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // containers often have no time zones
)

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
