package authz

import (
	"fmt"
	"regexp"
	"regexp/syntax"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// An expression is evaluated for requests of anybody, and whoever administers a
// project may write one. So it has a price before it is accepted, and a limit
// when it is evaluated. Costs are in CEL's units, of which the limit of one
// evaluation is about a millisecond.
const (
	// maxCost bounds one evaluation.
	maxCost = 10_000
	// maxDecisionCost bounds all evaluations for one decision.
	maxDecisionCost = 10 * maxCost

	// What is taken for the size of what is not known before there is a request.
	usualText, usualList = 256, 24

	// maxRegexp bounds a regular expression, in instructions: the time of a
	// match is at most proportional to them and to the length of the text.
	maxRegexp = 1000
	// regexpSteps are how many instructions on one byte cost one unit.
	regexpSteps = 50
	// zoneCost is what it costs to look up a time zone.
	zoneCost = 500
	// textCost is how many bytes that a function looks at cost one unit.
	textCost = 10
	// maxAgent is how much of a User-Agent expressions see, in bytes.
	maxAgent = 1 << 10
)

// regexps are the regular expressions of an expression with their sizes, by
// their text. They price calls.
type regexps map[string]regexpOf

type regexpOf struct {
	compiled *regexp.Regexp
	size     int
}

// regexpsIn compiles the regular expressions of an expression. They must be
// literals: one that is put together while a request waits can't be priced.
func regexpsIn(checked *ast.AST) (regexps, error) {
	found := regexps{}
	var err error
	ast.PostOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if err != nil || e.Kind() != ast.CallKind || e.AsCall().FunctionName() != overloads.Matches {
			return
		}
		args := e.AsCall().Args()
		last := args[len(args)-1]
		if last.Kind() != ast.LiteralKind {
			err = fmt.Errorf("matches: the regular expression must be a literal")
			return
		}
		text, _ := last.AsLiteral().Value().(string)
		err = found.add(text)
	}))
	return found, err
}

func (r regexps) add(text string) error {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return fmt.Errorf("matches: %w", err)
	}
	size := sizeOf(parsed)
	if size > maxRegexp {
		return fmt.Errorf("matches: the regular expression %.40q is too large, want at most %d steps: repeat less", text, maxRegexp)
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		return fmt.Errorf("matches: %w", err)
	}
	r[text] = regexpOf{compiled, size}
	return nil
}

// sizeOf returns about how many instructions a regular expression is compiled
// to, without compiling it: repetitions are written out.
func sizeOf(re *syntax.Regexp) int {
	const enough = maxRegexp + 1 // nested repetitions would overflow
	size := 1
	switch re.Op { //nolint:exhaustive // the others are one instruction each, or of what they have
	case syntax.OpLiteral:
		size = len(re.Rune)
	case syntax.OpCharClass: // is searched by halves
		size += len(re.Rune) / 64
	}
	for _, sub := range re.Sub {
		size += sizeOf(sub)
	}
	if re.Op == syntax.OpRepeat {
		size *= max(re.Max, re.Min+1)
	}
	return min(size, enough)
}

// cost is what it costs to match a text, at most.
func (x regexpOf) cost(text int) uint64 { return 1 + uint64(x.size)*uint64(text)/regexpSteps }

// optimizations have the compiled expressions used, for texts of a length that
// is worth their cost.
func (r regexps) optimizations() []*interpreter.RegexOptimization {
	var list []*interpreter.RegexOptimization
	for _, overload := range []string{overloads.Matches, overloads.MatchesString} {
		list = append(list, &interpreter.RegexOptimization{
			Function: overloads.Matches, OverloadID: overload, RegexIndex: 1,
			Factory: func(call interpreter.InterpretableCall, text string) (interpreter.InterpretableCall, error) {
				x, ok := r[text]
				if !ok {
					return nil, fmt.Errorf("matches: %.40q was not looked at", text)
				}
				return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), x.match), nil
			},
		})
	}
	return list
}

func (x regexpOf) match(args ...ref.Val) ref.Val {
	text, ok := args[0].Value().(string)
	switch {
	case !ok:
		return types.MaybeNoSuchOverloadErr(args[0])
	case x.cost(len(text)) > maxCost:
		return types.NewErr("matches: %d bytes are too many for this regular expression", len(text))
	}
	return types.Bool(x.compiled.MatchString(text))
}

// CallCost implements CEL's ActualCostEstimator: what a call has cost, where
// CEL's own price does not grow with what the call looks at.
func (r regexps) CallCost(function, overload string, args []ref.Val, _ ref.Val) *uint64 {
	var cost uint64
	switch {
	case function == overloads.Matches:
		text, _ := args[0].Value().(string)
		pattern, _ := args[1].Value().(string)
		cost = r[pattern].cost(len(text))
	case len(args) == 2 && zoned[function]:
		cost = zoneCost
	case function == overloads.Contains:
		return nil
	case function == "_==_" || function == "_!=_" || function == "@in":
		for _, a := range args {
			cost += weight(a.Value())
		}
		cost /= textCost
	default:
		for _, a := range args {
			if text, ok := a.Value().(string); ok {
				cost += uint64(len(text))
			}
		}
		cost /= textCost
	}
	if cost == 0 {
		return nil
	}
	return &cost
}

// zoned are the functions that may take a time zone.
var zoned = map[string]bool{
	overloads.TimeGetFullYear: true, overloads.TimeGetMonth: true, overloads.TimeGetDayOfYear: true,
	overloads.TimeGetDayOfMonth: true, overloads.TimeGetDate: true, overloads.TimeGetDayOfWeek: true,
	overloads.TimeGetHours: true, overloads.TimeGetMinutes: true, overloads.TimeGetSeconds: true,
	overloads.TimeGetMilliseconds: true,
}

// weight is how much there is to be compared.
func weight(v any) (n uint64) {
	switch v := v.(type) {
	case string:
		return uint64(len(v))
	case []string:
		for _, s := range v {
			n += 1 + uint64(len(s))
		}
	case []any:
		for _, e := range v {
			n += 1 + weight(e)
		}
	case []ref.Val:
		for _, e := range v {
			n += 1 + weight(e.Value())
		}
	case map[string]any:
		for k, e := range v {
			n += 1 + uint64(len(k)) + weight(e)
		}
	case map[ref.Val]ref.Val:
		for k, e := range v {
			n += 1 + weight(k.Value()) + weight(e.Value())
		}
	}
	return n
}

// EstimateSize implements CEL's CostEstimator.
func (regexps) EstimateSize(e checker.AstNode) *checker.SizeEstimate {
	size := uint64(usualList)
	if k := e.Type().Kind(); k == types.StringKind || k == types.BytesKind {
		size = usualText
	}
	return &checker.SizeEstimate{Max: size}
}

// EstimateCallCost implements CEL's CostEstimator.
func (r regexps) EstimateCallCost(function, overload string, target *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
	fixed := func(cost uint64) *checker.CallEstimate {
		return &checker.CallEstimate{CostEstimate: checker.FixedCostEstimate(cost)}
	}
	switch {
	case function == overloads.Matches && len(args) > 0:
		pattern, _ := args[len(args)-1].Expr().AsLiteral().Value().(string)
		return fixed(r[pattern].cost(usualText))
	case zoned[function] && target != nil && len(args) == 1:
		return fixed(zoneCost)
	}
	return nil
}

// price refuses an expression that could cost more than an evaluation may.
func (r regexps) price(env *cel.Env, checked *cel.Ast) error {
	estimate, err := env.EstimateCost(checked, r)
	if err != nil {
		return err
	}
	if estimate.Max > maxCost {
		return fmt.Errorf("costs too much to be evaluated for each request: up to %d, want at most %d; nest less", estimate.Max, maxCost)
	}
	return nil
}

// options are those of a program whose cost is bounded.
func (r regexps) options() []cel.ProgramOption {
	return []cel.ProgramOption{
		cel.EvalOptions(cel.OptOptimize), cel.OptimizeRegex(r.optimizations()...), cel.CostTracking(r), cel.CostLimit(maxCost),
	}
}
