package duration

import (
	"encoding/json"
	"testing"
	"time"
)

func TestOneGrammar(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		`"90s"`: 90 * time.Second, `"10m"`: 10 * time.Minute, `"36h"`: 36 * time.Hour, `"1h30m"`: 90 * time.Minute,
		`"7d"`: 7 * day, `"1d12h"`: 36 * time.Hour, `"1.5d"`: 36 * time.Hour, `"-1d"`: -day, `"1h2d"`: 2*day + time.Hour,
		`"1d1d"`: 2 * day, `"300ms"`: 300 * time.Millisecond, `"0"`: 0, `5`: 5, `"90d"`: 90 * day,
	} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err != nil || time.Duration(d) != want {
			t.Errorf("%s: got %v, %v", text, d, err)
		}
		again, err := json.Marshal(d)
		var back Duration
		if err != nil || json.Unmarshal(again, &back) != nil || back != d {
			t.Errorf("%s: written as %s, which is %v", text, again, back)
		}
	}
	for _, text := range []string{`"d"`, `"7"`, `""`, `"7 d"`, `"d7"`, `"1e9d"`, `"infd"`, `"106752d"`, `"-"`, `"soon"`, `true`, `1.5`, `{}`} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s is taken for %v", text, d)
		}
	}
}
