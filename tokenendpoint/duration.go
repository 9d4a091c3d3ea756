package tokenendpoint

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time span in a configuration: nanoseconds as a number, or a
// text such as "5m", "36h" or "90d". A day has 24 hours.
type Duration time.Duration

// ParseDuration reads a duration as [time.ParseDuration] does, and days.
func ParseDuration(s string) (Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 31)
		if err != nil || n > math.MaxInt64/uint64(24*time.Hour) {
			return 0, fmt.Errorf("duration %q: want a number of days such as 90d", s)
		}
		return Duration(time.Duration(n) * 24 * time.Hour), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("duration %q: want a number with a unit, such as 5m, 36h or 90d", s)
	}
	return Duration(d), nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil && len(data) > 0 && data[0] == '"' {
		parsed, err := ParseDuration(text)
		*d = parsed
		return err
	}
	var n int64
	if err := json.Unmarshal(data, &n); err != nil {
		return fmt.Errorf("duration %s: want nanoseconds or a text such as \"5m\"", data)
	}
	*d = Duration(n)
	return nil
}

// MarshalJSON writes the text form.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// String formats the duration as [time.Duration] does.
func (d Duration) String() string { return time.Duration(d).String() }
