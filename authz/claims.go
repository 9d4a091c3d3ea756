package authz

import (
	"errors"
	"sync"

	"cel.dev/cel-go/cel"
)

// claimsEnv declares what a [ClaimsCondition] can see.
var claimsEnv = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(cel.ParserExpressionSizeLimit(maxExpression), cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)))
})

var errOnlyClaims = errors.New("only claims are known here")

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
	_, program, err := compileTruth(env, text, func(int) error { return errOnlyClaims })
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
	return truth(result)
}
