package management

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// decoded is a body with a field of each kind.
type decoded struct {
	Text    string            `json:"text" max:"5" min:"2"`
	Word    string            `json:"word,omitempty" enum:"one,two"`
	Words   []string          `json:"words,omitempty" enum:"one,two" max:"2" min:"1"`
	Number  int               `json:"number,omitempty" min:"2" max:"4"`
	Any     int64             `json:"any,omitempty"`
	Flag    bool              `json:"flag,omitempty"`
	When    time.Time         `json:"when,omitzero"`
	Later   *time.Time        `json:"later"`
	Inner   *decoded          `json:"inner"`
	Labels  map[string]string `json:"labels,omitempty" max:"2"`
	Raw     json.RawMessage   `json:"raw,omitempty"`
	Private string            `json:"-"`
}

// TestBodiesAreHeldToTheirTypes has every way of being wrong refused by the
// name of the field, and what is right read.
func TestBodiesAreHeldToTheirTypes(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`[`, n) + strings.Repeat(`]`, n) }
	for body, want := range map[string]string{
		`{"text":"abc"}`:                                 "",
		`{"text":"ab"}`:                                  "",
		`{"text":"äöüßé"}`:                               "",
		`{"text":"a"}`:                                   "text",
		`{"text":"abcdef"}`:                              "text",
		`{"text":1}`:                                     "text",
		`{"text":true}`:                                  "text",
		`{"text":{}}`:                                    "text",
		`{"text":[]}`:                                    "text",
		`{"text":null}`:                                  "text",
		`{}`:                                             "text",
		`{"text":"abc","text":"abc"}`:                    "text",
		`{"text":"abc","Text":"abc"}`:                    "Text",
		`{"text":"abc","-":"x"}`:                         "-",
		`{"text":"abc","Private":"x"}`:                   "Private",
		`{"text":"abc","word":"one"}`:                    "",
		`{"text":"abc","word":"three"}`:                  "word",
		`{"text":"abc","word":null}`:                     "",
		`{"text":"abc","words":["one","two"]}`:           "",
		`{"text":"abc","words":["one","three"]}`:         "words[1]",
		`{"text":"abc","words":[null]}`:                  "words[0]",
		`{"text":"abc","words":[]}`:                      "words",
		`{"text":"abc","words":["one","one","one"]}`:     "words",
		`{"text":"abc","words":"one"}`:                   "words",
		`{"text":"abc","words":{}}`:                      "words",
		`{"text":"abc","number":2}`:                      "",
		`{"text":"abc","number":4}`:                      "",
		`{"text":"abc","number":1}`:                      "number",
		`{"text":"abc","number":5}`:                      "number",
		`{"text":"abc","number":2.5}`:                    "number",
		`{"text":"abc","number":"2"}`:                    "number",
		`{"text":"abc","any":9000000000}`:                "",
		`{"text":"abc","any":9e99}`:                      "any",
		`{"text":"abc","any":-1}`:                        "any",
		`{"text":"abc","flag":true}`:                     "",
		`{"text":"abc","flag":"true"}`:                   "flag",
		`{"text":"abc","flag":1}`:                        "flag",
		`{"text":"abc","when":"2027-01-31T18:00:00Z"}`:   "",
		`{"text":"abc","when":"2027-01-31"}`:             "when",
		`{"text":"abc","when":{}}`:                       "when",
		`{"text":"abc","later":"2027-01-31T18:00:00Z"}`:  "",
		`{"text":"abc","later":"now"}`:                   "later",
		`{"text":"abc","later":null}`:                    "",
		`{"text":"abc","inner":{"text":"abc"}}`:          "",
		`{"text":"abc","inner":{"text":"a"}}`:            "inner.text",
		`{"text":"abc","inner":{}}`:                      "inner.text",
		`{"text":"abc","inner":{"text":"abc","x":1}}`:    "inner.x",
		`{"text":"abc","labels":{"a":"b","c":null}}`:     "",
		`{"text":"abc","labels":{"a":1}}`:                "labels.a",
		`{"text":"abc","labels":{"a":"b","a":"c"}}`:      "labels.a",
		`{"text":"abc","labels":{"a":"","b":"","c":""}}`: "labels",
		`{"text":"abc","labels":[]}`:                     "labels",
		`{"text":"abc","raw":{"whatever":[1]}}`:          "",
		`{"text":"abc","raw":` + deep(maxDepth) + `}`:    "",
		`{"text":"abc","raw":` + deep(maxDepth+1) + `}`:  "!",
		"{\"text\":\"a\xffc\"}":                          "!",
		`{"text":"abc"} {}`:                              "!",
		`{"text":"abc"}]`:                                "!",
		`{"text":"abc"`:                                  "!",
		`{"text":"abc","words":["one"`:                   "!",
		`{"text"`:                                        "!",
		`{"text":`:                                       "!",
		`["text"]`:                                       "!",
		`null`:                                           "!",
		`"text"`:                                         "!",
		``:                                               "!",
	} {
		var into decoded
		err := decode([]byte(body), &into, false)
		switch {
		case want == "":
			if err != nil || len(into.Text) < 2 {
				t.Errorf("%s: %v, %+v", body, err, into)
			}
		case err == nil:
			t.Errorf("%s was taken", body)
		case want == "!":
			if AsError(err).Code != CodeMalformed {
				t.Errorf("%s: %v", body, err)
			}
		default:
			if e := AsError(err); e.Code != CodeInvalid || len(e.Fields) != 1 || e.Fields[0].Field != want {
				t.Errorf("%s: %+v, want %s", body, e, want)
			}
		}
	}
}

// TestPatchesMayLeaveOut what a whole body must have, and are not read yet.
func TestPatchesMayLeaveOut(t *testing.T) {
	for body, good := range map[string]bool{
		`{}`: true, `{"text":null}`: true, `{"text":"abc"}`: true, `{"inner":{}}`: true,
		`{"text":"a"}`: false, `{"other":null}`: false, `{"text":1}`: false, `[]`: false,
	} {
		var into decoded
		if err := decode([]byte(body), &into, true); (err == nil) != good || into.Text != "" {
			t.Errorf("%s: %v, %+v", body, err, into)
		}
	}
}

// TestPrintable has texts on one line.
func TestPrintable(t *testing.T) {
	for text, good := range map[string]bool{"": true, "Ä b": true, "a\nb": false, "a\x1b[1mb": false, "a\u202eb": false} {
		var wrong problems
		checkPrintable(&wrong, "f", text)
		if (len(wrong) == 0) != good || len(wrong) > 1 {
			t.Errorf("%q: %v", text, wrong)
		}
	}
}
