package authz

// within reports whether every repository that p matches is matched by outer
// too. Neither may have placeholders. It never says so wrongly; of patterns
// with many stars it may miss that it is so.
func (p pattern) within(outer pattern) bool {
	return relate(steps(p), steps(outer), relation{
		same: func(a, b step) bool { return relate(characters(a.segment), characters(b.segment), contained) },
	})
}

// meets reports whether there may be a repository that both patterns match.
// It never denies it wrongly.
func (p pattern) meets(other pattern) bool {
	return relate(steps(p), steps(other), relation{
		meet: true,
		same: func(a, b step) bool { return relate(characters(a.segment), characters(b.segment), overlapping) },
	})
}

// step is one token of a pattern: one path segment or one character of it, or
// any number of them, also none.
type step struct {
	any     bool
	segment segment
	char    byte
}

// steps cuts a pattern into segments. A "**" at the end wants at least one.
// What is the same is written the same way: "**/*" as "*/**".
func steps(p pattern) []step {
	var list []step
	one := step{segment: segment{text: "*", parts: []part{{kind: partStar}}}}
	for i, s := range p.segments {
		switch last := len(list) - 1; {
		case s.deep() && i == len(p.segments)-1:
			list = push(push(list, one), step{any: true})
		case s.deep():
			list = push(list, step{any: true})
		case s.star() && last >= 0 && list[last].any:
			list = append(list[:last], one, step{any: true})
		default:
			list = append(list, step{segment: s})
		}
	}
	return list
}

// push appends a step, an "any" behind all stars and never twice.
func push(list []step, s step) []step {
	last := len(list) - 1
	switch {
	case last >= 0 && list[last].any && s.any:
		return list
	case last >= 0 && list[last].any && s.segment.star():
		return append(list[:last], s, step{any: true})
	}
	return append(list, s)
}

// characters cuts a segment into characters.
func characters(s segment) []step {
	var list []step
	for _, p := range s.parts {
		if p.kind != partLiteral {
			list = push(list, step{any: true})
			continue
		}
		for i := range len(p.text) {
			list = append(list, step{char: p.text[i]})
		}
	}
	return list
}

// relation is what is asked of two lists of steps.
type relation struct {
	meet bool                 // whether they overlap, not whether one contains the other
	same func(a, b step) bool // the relation of two single steps
}

func sameCharacter(a, b step) bool { return a.char == b.char }

var (
	contained   = relation{same: sameCharacter}
	overlapping = relation{meet: true, same: sameCharacter}
)

// relate compares two lists of steps, in time proportional to the product of
// their lengths.
func relate(inner, outer []step, r relation) bool {
	const (
		unknown = iota
		yes
		no
	)
	known := make([]uint8, (len(inner)+1)*(len(outer)+1))
	var from func(i, j int) bool
	from = func(i, j int) bool {
		at := &known[i*(len(outer)+1)+j]
		if *at == unknown {
			*at = no
			if r.compare(inner[i:], outer[j:], func(di, dj int) bool { return from(i+di, j+dj) }) {
				*at = yes
			}
		}
		return *at == yes
	}
	return from(0, 0)
}

// compare decides about two rests, which next compares further on.
func (r relation) compare(inner, outer []step, next func(i, j int) bool) bool {
	innerAny := len(inner) > 0 && inner[0].any
	outerAny := len(outer) > 0 && outer[0].any
	switch {
	case len(inner) == 0 && len(outer) == 0:
		return true
	case r.meet && innerAny:
		return next(1, 0) || len(outer) > 0 && next(0, 1)
	case outerAny && innerAny:
		return next(1, 0)
	case outerAny:
		return next(0, 1) || len(inner) > 0 && next(1, 0)
	case len(inner) == 0 || len(outer) == 0:
		return false
	case innerAny:
		// Nothing, or one of whatever and then as many again.
		return next(1, 0) && outer[0].segment.star() && next(0, 1)
	}
	return r.same(inner[0], outer[0]) && next(1, 1)
}
