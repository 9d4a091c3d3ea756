package authz

import (
	"regexp/syntax"
	"strings"
	"testing"

	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

func TestSizesOfRegexps(t *testing.T) {
	for text, want := range map[string]int{
		"abc": 3, "a": 1, "[a-z]": 1, "a*": 2, "ab|cd": 5, "a{5}": 12, "a{2,}": 6, "(a{5}){5}": 84, "(a{30}){30}": maxRegexp + 1,
		`\pL`: 21,
	} {
		parsed, err := syntax.Parse(text, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		if got := sizeOf(parsed); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
	if err := (regexps{}).add(strings.Repeat("a", maxRegexp)); err != nil {
		t.Error(err)
	}
	if err := (regexps{}).add(strings.Repeat("a", maxRegexp+1)); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("got %v", err)
	}
}

// TestCallsCost: a call costs what it looks at, whatever CEL takes for it.
func TestCallsCost(t *testing.T) {
	r := regexps{}
	if err := r.add("a{9}"); err != nil { // 20 steps
		t.Fatal(err)
	}
	text := func(n int) ref.Val { return types.String(strings.Repeat("a", n)) }
	value := types.DefaultTypeAdapter.NativeToValue
	for name, test := range map[string]struct {
		function string
		args     []ref.Val
		want     uint64 // 0: CEL's own
	}{
		"a match":             {overloads.Matches, []ref.Val{text(1000), types.String("a{9}")}, 401},
		"a match, unknown":    {overloads.Matches, []ref.Val{text(1000), types.String("b")}, 1},
		"hours in a zone":     {overloads.TimeGetHours, []ref.Val{text(1), text(1)}, zoneCost},
		"hours without one":   {overloads.TimeGetHours, []ref.Val{text(1)}, 0},
		"a text in a text":    {overloads.Contains, []ref.Val{text(1000), text(1000)}, 0},
		"equal texts":         {"_==_", []ref.Val{text(1000), text(1000)}, 200},
		"unequal texts":       {"_!=_", []ref.Val{text(1000), text(1000)}, 200},
		"a text in a list":    {"@in", []ref.Val{text(100), value([]string{"aaaaaaaaa", "aaaaaaaaa"})}, 12},
		"a list of anything":  {"@in", []ref.Val{text(100), value([]any{"aaaaaaaaa", []any{"aaaaaaaa"}})}, 12},
		"a list of values":    {"@in", []ref.Val{text(100), value([]ref.Val{text(9), text(9)})}, 12},
		"a map":               {"_==_", []ref.Val{value(map[string]any{"aaaaaaaaa": "aaaaaaaaaa"}), text(80)}, 10},
		"a map of values":     {"_==_", []ref.Val{value(map[ref.Val]ref.Val{text(9): text(10)}), text(80)}, 10},
		"another function":    {"startsWith", []ref.Val{text(1000), text(500)}, 150},
		"nothing to speak of": {"startsWith", []ref.Val{text(4), text(4), types.Int(7)}, 0},
	} {
		var got uint64
		if cost := r.CallCost(test.function, "", test.args, nil); cost != nil {
			got = *cost
		}
		if got != test.want {
			t.Errorf("%s costs %d, want %d", name, got, test.want)
		}
	}
	if got := r["a{9}"].match(text(100_000)); !types.IsError(got) || !strings.Contains(got.(*types.Err).Error(), "too many") {
		t.Errorf("a long text: %v", got)
	}
	if got := r["a{9}"].match(text(9)); got != types.True {
		t.Errorf("a text that matches: %v", got)
	}
	if got := r["a{9}"].match(types.Int(7)); !types.IsError(got) {
		t.Errorf("a number: %v", got)
	}
	if got := len(r.optimizations()); got != 2 {
		t.Errorf("%d ways to call a regular expression have their own price", got)
	}
}

// TestEstimates: texts, lists and calls have the price before there is a
// request that they have in the worst usual one.
func TestEstimates(t *testing.T) {
	for text, accepted := range map[string]bool{
		// 24 elements, three deep, are too many, two are not.
		`claims.a.all(a, claims.b.all(b, a == b))`:                                        true,
		`claims.a.all(a, claims.b.all(b, claims.c.all(c, a == b || b == c)))`:             false,
		`[1,2,3,4,5,6,7,8,9].all(a, request.time.getHours("Europe/Berlin") >= a)`:         true,
		`claims.a.all(a, request.time.getHours("Europe/Berlin") >= 1)`:                    false,
		`claims.a.all(a, request.time.getHours() >= 1)`:                                   true,
		`[1,2,3,4,5,6,7,8,9].all(a, request.user_agent.matches("[a-z]{30}"))`:             true,
		`claims.a.all(a, request.user_agent.matches("[a-z]{200}"))`:                       false,
		`[1,2,3].all(a, (request.user_agent + request.user_agent).contains(request.tag))`: true,
	} {
		if _, err := compileExpression(text); (err == nil) != accepted {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestDecisionsHaveABudget: what the conditions before have spent is gone.
func TestDecisionsHaveABudget(t *testing.T) {
	x, err := compileExpression(`claims.a == "x"`)
	if err != nil {
		t.Fatal(err)
	}
	f := &facts{spent: maxDecisionCost - 1}
	f.principal = user("alice")
	f.principal.Claims = map[string]any{"a": strings.Repeat("x", 1000)}
	if got := x.hold(f, Pull); got != fails || f.spent < maxDecisionCost+50 {
		t.Errorf("outcome %d, spent %d", got, f.spent)
	}
	f.spent = maxDecisionCost
	if got := x.hold(f, Pull); got != unclear {
		t.Errorf("with nothing left: outcome %d", got)
	}
	if got := x.failure(f); got != errSpent.Error() {
		t.Errorf("failure %q", got)
	}
	if f.spent = 0; x.failure(f) != "" {
		t.Errorf("failure %q", x.failure(f))
	}
	if spent := f.spent; x.hold(&facts{spent: spent}, Pull) != unclear {
		t.Error("a claim that is missing is clear")
	}
}
