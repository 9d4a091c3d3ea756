package authn

import (
	"encoding/json"
	"fmt"
	"time"
)

// Duration is a [time.Duration] that configuration may give as text ("10m")
// or in nanoseconds.
type Duration time.Duration

// MarshalJSON writes the text form.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads either form.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var nanoseconds int64
	if err := json.Unmarshal(b, &nanoseconds); err == nil {
		*d = Duration(nanoseconds)
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("duration: want text such as \"10m\" or nanoseconds, not %.20s", b)
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("duration: %w", err)
	}
	*d = Duration(parsed)
	return nil
}

// orDefault returns d, or a default where d is not set.
func (d Duration) orDefault(otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return time.Duration(d)
}
