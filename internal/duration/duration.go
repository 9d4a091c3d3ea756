// Package duration has the time span of configuration, with one grammar for
// all of it: JSON, the Caddyfile and the command line.
package duration

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a [time.Duration] that configuration gives as text ("10m") or in
// nanoseconds.
type Duration time.Duration

// maxText bounds what is parsed, in bytes.
const maxText = 1024

// Parse reads a duration as Caddy does: numbers with a unit, such as 90s,
// 36h, 30d or 1d12h. A day has 24 hours.
func Parse(text string) (Duration, error) {
	parsed, err := parse(text)
	if err != nil {
		return 0, fmt.Errorf("duration %.40q: want a number with a unit, such as 90s, 10m, 36h or 30d", text)
	}
	return Duration(parsed), nil
}

// parse writes days as hours, which [time.ParseDuration] knows.
func parse(text string) (time.Duration, error) {
	if len(text) > maxText {
		return 0, strconv.ErrRange
	}
	var hours strings.Builder
	start := 0 // of the number that is being read
	for i := range len(text) {
		switch c := text[i]; {
		case c == 'd':
			days, err := strconv.ParseFloat(text[start:i], 64)
			if err != nil {
				return 0, err
			}
			hours.WriteString(strconv.FormatFloat(days*24, 'f', -1, 64) + "h")
			start = i + 1
		case c != '.' && c != '-' && c != '+' && (c < '0' || c > '9'):
			hours.WriteString(text[start : i+1])
			start = i + 1
		}
	}
	hours.WriteString(text[start:])
	return time.ParseDuration(hours.String())
}

// UnmarshalJSON reads either form.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil && len(data) > 0 && data[0] == '"' {
		parsed, err := Parse(text)
		*d = parsed
		return err
	}
	var nanoseconds int64
	if err := json.Unmarshal(data, &nanoseconds); err != nil {
		return fmt.Errorf("duration %.40s: want text such as \"10m\", or nanoseconds", data)
	}
	*d = Duration(nanoseconds)
	return nil
}

// MarshalJSON writes the text form.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// String formats the duration as [time.Duration] does.
func (d Duration) String() string { return time.Duration(d).String() }

// OrDefault returns d, or a default where d is not set.
func (d Duration) OrDefault(otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return time.Duration(d)
}
