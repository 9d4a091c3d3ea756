package runner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// expectation checks one word of expect or expect_not: it returns what
// happened, or "" if it did not.
type expectation func(o *outcome, argument string) (string, error)

// expectations by the part of the word before its first separator.
var expectations = map[string]expectation{
	"status":        (*outcome).hasStatus,
	"header":        (*outcome).hasHeader,
	"body":          (*outcome).hasBody,
	"log":           (*outcome).hasLog,
	"cookie":        (*outcome).hasCookie,
	"upstream":      (*outcome).reached,
	"outbound":      (*outcome).calledOut,
	"grant":         (*outcome).granted,
	"grant-missing": (*outcome).notGranted,
	"sub":           (*outcome).isSubject,
	"time":          (*outcome).tookLonger,
	"rss":           (*outcome).grew,
	"resp":          (*outcome).answeredMore,
	"differs-from":  (*outcome).differsFrom,
	"session-id":    (*outcome).keptSession,
	"state":         (*outcome).becameAdmin,
	"count(201)!":   (*outcome).othersThan,
	// never-429-after repeats the request; the runner has done so already.
	"never-429-after": func(o *outcome, argument string) (string, error) {
		if o.throttled {
			return "", nil
		}
		return "no 429 within " + argument + " requests and a few more", nil
	},
}

// happened checks a word.
func (o *outcome) happened(word string) (string, error) {
	end := strings.IndexAny(word, ":=>")
	if end < 0 {
		return "", unsupported("expectation %q", word)
	}
	check, ok := expectations[word[:end]]
	if !ok {
		return "", unsupported("expectation %q", word)
	}
	return check(o, word[end+1:])
}

func (o *outcome) hasStatus(argument string) (string, error) {
	return found(strconv.Itoa(o.answer.status) == argument, "status %s", argument)
}

// hasHeader checks NAME, NAME~PART and missing:NAME~PART.
func (o *outcome) hasHeader(argument string) (string, error) {
	argument, missing := strings.CutPrefix(argument, "missing:")
	name, part, _ := strings.Cut(argument, "~")
	if name == "Location-after-login" {
		at, err := o.signedIn()
		if err != nil {
			return "", err
		}
		return found(strings.Contains(strings.ToLower(at), strings.ToLower(part)), "the browser is sent to %s", at)
	}
	has := slices.ContainsFunc(o.answer.header.Values(name), func(v string) bool {
		return strings.Contains(strings.ToLower(v), strings.ToLower(part))
	})
	if missing {
		return found(!has, "no header %s with %q", name, part)
	}
	return found(has, "header %s with %q", name, part)
}

// hasBody checks TEXT, missing:TEXT and missing:TEXT-if-STATUS.
func (o *outcome) hasBody(argument string) (string, error) {
	if text, ok := strings.CutPrefix(argument, "missing:"); ok {
		text, status, conditional := strings.Cut(text, "-if-")
		if conditional && strconv.Itoa(o.answer.status) != status {
			return "", nil
		}
		return found(!bytes.Contains(o.answer.body, []byte(text)), "no %q in the body", text)
	}
	return found(bytes.Contains(o.answer.body, []byte(argument)), "%q in the body", argument)
}

// hasLog checks TEXT and missing:TEXT.
func (o *outcome) hasLog(argument string) (string, error) {
	text, missing := strings.CutPrefix(argument, "missing:")
	has := slices.ContainsFunc(o.log(), func(line string) bool {
		return strings.Contains(line, text) || strings.Contains(line, unescape(text))
	})
	if missing {
		return found(!has, "no %q in the log", text)
	}
	return found(has, "%q in the log", text)
}

// awaitLog waits a moment for the lines that a row wants to see.
func (o *outcome) awaitLog(wanted, unwanted []string) {
	var lines []string
	for _, word := range wanted {
		if text, ok := strings.CutPrefix(word, "log:"); ok {
			lines = append(lines, text)
		}
	}
	for _, word := range unwanted {
		if text, ok := strings.CutPrefix(word, "log:missing:"); ok {
			lines = append(lines, text)
		}
	}
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if !slices.ContainsFunc(lines, func(text string) bool {
			has, err := o.hasLog(text)
			return has == "" && err == nil
		}) {
			return
		}
	}
}

// hasCookie checks NAME, NAME~ATTRIBUTE and missing:NAME~ATTRIBUTE of the
// cookies that are set: "some cookie of that name has, or has not, HttpOnly".
// NAME is a part of the name, and may be empty for every cookie.
func (o *outcome) hasCookie(argument string) (string, error) {
	argument, missing := strings.CutPrefix(argument, "missing:")
	name, attribute, _ := strings.Cut(argument, "~")
	of := 0
	for _, line := range o.answer.header.Values("Set-Cookie") {
		pair, attributes, _ := strings.Cut(line, ";")
		cookie, value, _ := strings.Cut(pair, "=")
		if value == "" || !strings.Contains(cookie, name) {
			continue
		}
		of++
		has := attribute == "" || slices.ContainsFunc(strings.Split(attributes, ";"), func(a string) bool {
			a = strings.ToLower(strings.TrimSpace(a))
			key, _, _ := strings.Cut(a, "=")
			return a == strings.ToLower(attribute) || key == strings.ToLower(attribute)
		})
		if has != missing {
			return fmt.Sprintf("cookie %s;%s", cookie, attributes), nil
		}
	}
	return found(missing && of == 0, "no cookie %q is set", name)
}

func (o *outcome) calledOut(argument string) (string, error) {
	if argument != o.collab {
		return "", unsupported("expectation about calls to %s", argument)
	}
	return found(o.outbound > 0, "%d calls to %s", o.outbound, argument)
}

// access returns what the token in the answer grants, and its subject.
func (o *outcome) access() ([]access, string) {
	parts := tokenIn(o.answer.body)
	if parts == nil {
		return nil, ""
	}
	subject, _ := parts.Claims["sub"].(string)
	return accessOf(parts.Claims), subject
}

// granted checks NAME, NAME:ACTION, registry:NAME and *.
func (o *outcome) granted(argument string) (string, error) {
	return found(o.grants(argument), "grant of %s", argument)
}

func (o *outcome) notGranted(argument string) (string, error) {
	return found(!o.grants(argument), "no grant of %s", argument)
}

func (o *outcome) grants(argument string) bool {
	kind := "repository"
	if name, ok := strings.CutPrefix(argument, "registry:"); ok {
		kind, argument = "registry", name
	}
	name, action, _ := strings.Cut(argument, ":")
	have, _ := o.access()
	return slices.ContainsFunc(have, func(a access) bool {
		return a.Type == kind && a.Name == name && len(a.Actions) > 0 && (action == "" || slices.Contains(a.Actions, action))
	})
}

func (o *outcome) isSubject(argument string) (string, error) {
	_, subject := o.access()
	var self struct{ Name, Subject string } // of whoami
	_ = json.Unmarshal(o.answer.body, &self)
	return found(subject == argument || subject == "robot:"+stage.RobotName(argument) || self.Name == argument || self.Subject == argument, "a token for %s", argument)
}

func (o *outcome) tookLonger(argument string) (string, error) {
	limit, err := time.ParseDuration(argument)
	if err != nil {
		return "", fmt.Errorf("time>%s: %w", argument, err)
	}
	return found(o.answer.elapsed > slack(limit), "answer took %s", o.answer.elapsed.Round(time.Millisecond))
}

func (o *outcome) grew(argument string) (string, error) {
	limit, err := parseSize(strings.TrimPrefix(argument, "+"))
	if err != nil {
		return "", err
	}
	return found(o.growth > slack(limit), "memory grew by %d KiB", o.growth>>10)
}

func (o *outcome) answeredMore(argument string) (string, error) {
	limit, err := parseSize(argument)
	if err != nil {
		return "", err
	}
	return found(int64(len(o.answer.body)) > limit, "%d bytes of answer", len(o.answer.body))
}

// slack is more time and memory where the race detector takes its share.
func slack[T ~int64](limit T) T {
	if gateway.Race {
		return 8 * limit
	}
	return limit
}

func parseSize(text string) (int64, error) {
	units := []struct {
		name string
		size int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"", 1}}
	for _, unit := range units {
		if number, ok := strings.CutSuffix(text, unit.name); ok {
			n, err := strconv.ParseInt(number, 10, 64)
			return n * unit.size, err
		}
	}
	return 0, fmt.Errorf("size %q", text)
}

func found(is bool, format string, args ...any) (string, error) {
	if !is {
		return "", nil
	}
	return fmt.Sprintf(format, args...), nil
}

// tokenIn returns the registry token of a token endpoint's answer, if any.
func tokenIn(body []byte) *jose.Parts {
	token := tokenField(body)
	parts, err := jose.Parse(token)
	if err != nil {
		return nil
	}
	return parts
}
