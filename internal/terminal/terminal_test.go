package terminal

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"alice":                        "alice",
		"Zoë, 日本 and ✓":                "Zoë, 日本 and ✓",
		"two\nlines":                   "two\nlines",
		"\x1b[2J\x1b]0;title\x07":      "?[2J?]0;title?",
		"C1 \u009b2J":                  "C1 ?2J",
		"\u202egpj.exe":                "?gpj.exe",
		"over\rwritten\b\x7f":          "over?written??",
		"invalid \xff\x1b":             "invalid \ufffd?",
		"a\ttab and a zero\u200bwidth": "a?tab and a zero?width",
	} {
		if got := Text(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := Line("a\nb"); got != "a?b" {
		t.Errorf("%q", got)
	}
}

func TestJSON(t *testing.T) {
	text := "\u009b \u202e \U000e0041 \x1b é"
	raw, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	safe := JSON(raw)
	var back string
	if err := json.Unmarshal(safe, &back); err != nil || back != text {
		t.Errorf("%q: %q, %v", safe, back, err)
	}
	if Text(string(safe)) != string(safe) || !strings.Contains(string(safe), "é") {
		t.Errorf("%q", safe)
	}
}

func TestError(t *testing.T) {
	cause := errors.New("it says \x1b[2J")
	err := Error(fmt.Errorf("refused: %w", cause))
	if err.Error() != "refused: it says ?[2J" || !errors.Is(err, cause) || Error(nil) != nil || Error(errors.ErrUnsupported) != errors.ErrUnsupported {
		t.Error(err)
	}
}
