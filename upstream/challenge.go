package upstream

import (
	"strings"
)

// challenge is how a registry wants to be asked (RFC 9110 §11.6.1).
type challenge struct {
	scheme string // in lower case: "basic", "bearer"
	params map[string]string
}

// parseChallenges reads WWW-Authenticate headers: several challenges may stand in
// one, with blanks and commas wherever the grammar has them. What breaks the
// grammar ends the header.
func parseChallenges(headers []string) []challenge {
	var list []challenge
	for _, h := range headers {
		p := challengeParser{rest: h}
		for len(list) < maxChallenges {
			c, ok := p.challenge()
			if !ok {
				break
			}
			list = append(list, c)
		}
	}
	return list
}

// maxChallenges bounds what a registry can make us read.
const maxChallenges = 16

type challengeParser struct{ rest string }

func (p *challengeParser) blanks(more string) { p.rest = strings.TrimLeft(p.rest, " \t"+more) }

// word takes a token of RFC 9110 §5.6.2.
func (p *challengeParser) word() string {
	i := 0
	for i < len(p.rest) && isTokenByte(p.rest[i]) {
		i++
	}
	word := p.rest[:i]
	p.rest = p.rest[i:]
	return word
}

func isTokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func (p *challengeParser) challenge() (challenge, bool) {
	p.blanks(",")
	scheme := p.word()
	if scheme == "" {
		return challenge{}, false
	}
	c := challenge{scheme: strings.ToLower(scheme), params: map[string]string{}}
	for {
		before := p.rest
		p.blanks(",")
		name := p.word()
		p.blanks("")
		if name == "" || !strings.HasPrefix(p.rest, "=") {
			p.rest = before // the scheme of the next challenge, or the end
			return c, true
		}
		p.rest = p.rest[1:]
		p.blanks("")
		value, ok := p.value()
		if !ok {
			p.rest = ""
			return c, true
		}
		if name = strings.ToLower(name); c.params[name] == "" {
			c.params[name] = value
		}
	}
}

func (p *challengeParser) value() (string, bool) {
	if !strings.HasPrefix(p.rest, `"`) {
		word := p.word()
		return word, word != ""
	}
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return b.String(), true
		case c == '\\' && i+1 < len(p.rest):
			i++
			b.WriteByte(p.rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}
