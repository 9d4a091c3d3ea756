package authz

import (
	"fmt"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
)

// claimsEnv declares what a [ClaimsCondition] can see.
var claimsEnv = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(cel.ParserExpressionSizeLimit(maxExpression), cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)))
})

// ClaimsCondition is a CEL expression over the claims of a token: who somebody
// is, before there is a request that could be judged.
type ClaimsCondition struct{ program cel.Program }

// CompileClaims compiles and type-checks an expression in which claims is all
// that there is. The error says in which column the mistake is.
func CompileClaims(text string) (*ClaimsCondition, error) {
	env, err := claimsEnv()
	if err != nil {
		return nil, err
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		first := issues.Errors()
		if len(first) == 0 {
			return nil, issues.Err()
		}
		message := first[0].Message
		if strings.HasPrefix(message, "undeclared reference") {
			message += ": only claims are known here"
		}
		return nil, fmt.Errorf("column %d: %s", first[0].Location.Column()+1, message)
	}
	if !checked.OutputType().IsExactType(cel.BoolType) && !checked.OutputType().IsExactType(cel.DynType) {
		return nil, fmt.Errorf("is %s, want true or false", checked.OutputType())
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost))
	if err != nil {
		return nil, err
	}
	return &ClaimsCondition{program}, nil
}

// Holds evaluates the condition. An error is a claim that is missing, of
// another type than expected, or too large to be looked at: nothing holds then.
func (c *ClaimsCondition) Holds(claims map[string]any) (bool, error) {
	result, _, err := c.program.Eval(map[string]any{"claims": claims})
	if err != nil {
		return false, err
	}
	truth, ok := result.Value().(bool)
	if !ok {
		return false, fmt.Errorf("is %s, want true or false", result.Type().TypeName())
	}
	return truth, nil
}
