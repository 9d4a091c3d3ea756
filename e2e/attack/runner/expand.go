package runner

import (
	"fmt"
	"strconv"
	"strings"
)

// expander replaces placeholders in the fields of a row. Placeholders nest:
// the argument is expanded first, except that of rep, once per repetition.
type expander struct {
	// resolve returns the value of one placeholder.
	resolve func(name, mutation, argument string) (string, error)
	// n is the value of {{n}}.
	n int
}

// expand returns text with all placeholders replaced.
func (e *expander) expand(text string) (string, error) {
	var out strings.Builder
	for {
		start := strings.Index(text, "{{")
		if start < 0 {
			out.WriteString(text)
			return out.String(), nil
		}
		length := closing(text[start:])
		if length < 0 {
			return "", fmt.Errorf("placeholder without end in %q", text)
		}
		out.WriteString(text[:start])
		value, err := e.placeholder(text[start+2 : start+length-2])
		if err != nil {
			return "", err
		}
		out.WriteString(value)
		text = text[start+length:]
	}
}

// closing returns the length of the placeholder that text starts with, or -1.
func closing(text string) int {
	depth := 0
	for i := 0; i < len(text)-1; {
		switch text[i : i+2] {
		case "{{":
			depth++
			i += 2
		case "}}":
			depth--
			i += 2
			if depth == 0 {
				return i
			}
		default:
			i++
		}
	}
	return -1
}

func (e *expander) placeholder(inner string) (string, error) {
	name, rest := inner, ""
	if end := strings.IndexAny(inner, ":!"); end >= 0 {
		name, rest = inner[:end], inner[end:]
	}
	if name == "rep" {
		return e.repeat(strings.TrimPrefix(rest, ":"))
	}
	if name == "n" {
		return strconv.Itoa(e.n), nil
	}
	rest, err := e.expand(rest)
	if err != nil {
		return "", err
	}
	if mutated, ok := strings.CutPrefix(rest, "!"); ok {
		mutation, argument := splitMutation(mutated)
		return e.resolve(name, mutation, argument)
	}
	return e.resolve(name, "", strings.TrimPrefix(rest, ":"))
}

// repeat expands "N:TEXT" to TEXT N times, counting {{n}}.
func (e *expander) repeat(argument string) (string, error) {
	count, text, _ := strings.Cut(argument, ":")
	times, err := strconv.Atoi(count)
	if err != nil {
		return "", fmt.Errorf("rep: %w", err)
	}
	if !strings.Contains(text, "{{") {
		return strings.Repeat(text, times), nil
	}
	var out strings.Builder
	for i := range times {
		part, err := (&expander{resolve: e.resolve, n: i}).expand(text)
		if err != nil {
			return "", err
		}
		out.WriteString(part)
	}
	return out.String(), nil
}

// splitMutation splits MUTATION:WHO[:…]. A mutation may hold colons itself,
// so the first name of the cast is what ends it.
func splitMutation(text string) (mutation, argument string) {
	for i := range text {
		if text[i] == ':' && isLogin(text[i+1:]) {
			return text[:i], text[i+1:]
		}
	}
	mutation, argument, _ = strings.Cut(text, ":")
	return mutation, argument
}
