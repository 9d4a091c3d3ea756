package authz

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types/ref"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// maxExpression bounds the length of an expression, in characters.
const maxExpression = 4096

// celStrings are the fields that are strings.
var celStrings = []string{
	"principal.kind", "principal.name", "principal.issuer", "principal.subject",
	"principal.authenticator", "principal.credential",
	"request.action", "request.type", "request.repository", "request.reference", "request.tag",
	"request.digest", "request.ip", "request.user_agent", "request.method",
}

// celEnv declares what an expression can see. The fields are declared one by
// one, so that a misspelled one is an error when the configuration loads.
var celEnv = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("principal.groups", cel.ListType(cel.StringType)),
		cel.Variable("principal.roles", cel.ListType(cel.StringType)),
		cel.Variable("request.time", cel.TimestampType),
	}
	for _, name := range celStrings {
		options = append(options, cel.Variable(name, cel.StringType))
	}
	return cel.NewEnv(options...)
})

// expression is a compiled CEL expression.
type expression struct {
	text    string
	program cel.Program

	// perAction: the outcome may differ from action to action.
	perAction bool
	// perRequest: it looks at what is not known when a token is issued.
	perRequest bool
	// perPrincipal: it looks at who asks.
	perPrincipal bool

	mentions mentions
}

// mentions are the parts of a principal that expressions look at.
type mentions struct {
	groups, roles, allClaims bool
	claims                   []string // by first level
	paths                    []string // of placeholders
}

// expression compiles an expression, each distinct one once.
func (c *compiler) expression(text string) (*expression, error) {
	if x, ok := c.expressions[text]; ok {
		return x, nil
	}
	x, err := compileExpression(text)
	if err != nil {
		return nil, fmt.Errorf("when `%s`: %w", text, err)
	}
	c.expressions[text] = x
	return x, nil
}

func compileExpression(text string) (*expression, error) {
	env, err := celEnv()
	if err != nil {
		return nil, err
	}
	checked, program, err := compileTruth(env, text, unknownIn(text))
	if err != nil {
		return nil, err
	}
	x := &expression{text: text, program: program}
	x.look(checked.NativeRep())
	return x, nil
}

// compileTruth compiles and type-checks an expression that is to be true or
// false. Unknown says more about a name that is not known, by its column; it
// may return nil.
func compileTruth(env *cel.Env, text string, unknown func(column int) error) (*cel.Ast, cel.Program, error) {
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, nil, issue(issues, unknown)
	}
	if !checked.OutputType().IsExactType(cel.BoolType) && !checked.OutputType().IsExactType(cel.DynType) {
		return nil, nil, fmt.Errorf("is %s, want true or false", checked.OutputType())
	}
	priced, err := regexpsIn(checked.NativeRep())
	if err != nil {
		return nil, nil, err
	}
	if err := priced.price(env, checked); err != nil {
		return nil, nil, err
	}
	program, err := env.Program(checked, priced.options()...)
	return checked, program, err
}

// issue is what the first mistake in an expression is, in one line.
func issue(issues *cel.Issues, unknown func(column int) error) error {
	all := issues.Errors()
	if len(all) == 0 {
		return issues.Err()
	}
	first := all[0]
	column := first.Location.Column()
	if strings.HasPrefix(first.Message, "undeclared reference") {
		if err := unknown(column); err != nil {
			return fmt.Errorf("column %d: %w", column+1, err)
		}
	}
	return fmt.Errorf("column %d: %s", column+1, first.Message)
}

// look notes what the expression refers to.
func (x *expression) look(checked *ast.AST) {
	claims := 0 // references to claims, less those to one of them
	for _, ref := range checked.ReferenceMap() {
		x.perPrincipal = x.perPrincipal || ref.Name == "claims" || strings.HasPrefix(ref.Name, "principal.")
		switch ref.Name {
		case "request.action":
			x.perAction = true
		case "request.reference", "request.tag", "request.digest", "request.method":
			x.perRequest = true
		case "principal.groups":
			x.mentions.groups = true
		case "principal.roles":
			x.mentions.roles = true
		case "claims":
			claims++
		}
	}
	ast.PostOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if name, ok := claimName(e); ok {
			x.mentions.claims = append(x.mentions.claims, name)
			claims--
		}
	}))
	x.mentions.allClaims = claims > 0
}

// claimName recognises claims.name and claims["name"].
func claimName(e ast.Expr) (string, bool) {
	isClaims := func(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == "claims" }
	switch e.Kind() {
	case ast.SelectKind:
		return e.AsSelect().FieldName(), isClaims(e.AsSelect().Operand())
	case ast.CallKind:
		call := e.AsCall()
		if args := call.Args(); call.FunctionName() == "_[_]" && len(args) == 2 &&
			isClaims(args[0]) && args[1].Kind() == ast.LiteralKind {
			name, ok := args[1].AsLiteral().Value().(string)
			return name, ok
		}
	}
	return "", false
}

// hold evaluates the expression for one action.
func (x *expression) hold(f *facts, action Action) outcome {
	if f.issue && x.perRequest {
		return later
	}
	result, err := x.eval(f, action)
	if err != nil {
		return unclear
	}
	if result {
		return holds
	}
	return fails
}

// failure is why the expression cannot be evaluated.
func (x *expression) failure(f *facts) string {
	if _, err := x.eval(f, f.want); err != nil {
		return err.Error()
	}
	return ""
}

func (x *expression) eval(f *facts, action Action) (bool, error) {
	if f.spent >= maxDecisionCost {
		return false, errSpent
	}
	f.now()
	result, details, err := x.program.Eval(&variables{facts: *f, action: action})
	if cost := details.ActualCost(); cost != nil {
		f.spent += *cost
	} else {
		f.spent += maxCost
	}
	if err != nil {
		return false, err
	}
	return truth(result)
}

// errSpent ends the conditions of one decision.
var errSpent = errors.New("the conditions before have cost too much")

// truth is the value of an expression that was declared dynamic.
func truth(result ref.Val) (bool, error) {
	value, ok := result.Value().(bool)
	if !ok {
		return false, fmt.Errorf("is %s, want true or false", result.Type().TypeName())
	}
	return value, nil
}

// unknownIn is [unknownField] for one text.
func unknownIn(text string) func(column int) error {
	return func(column int) error { return unknownField(text, column) }
}

// unknownField is the error for a field that expressions cannot see, at a
// place in the text, in characters; nil if no such field is there.
func unknownField(text string, column int) error {
	runes := []rune(text)
	if column < 0 || column > len(runes) {
		return nil
	}
	word := string(runes[column:])
	if end := strings.IndexFunc(word, func(r rune) bool { return !isFieldRune(r) }); end >= 0 {
		word = word[:end]
	}
	roots := []string{"claims", "principal", "request"}
	parent, _, _ := strings.Cut(word, ".")
	if parent == "" || parent == "claims" {
		return nil
	}
	if !slices.Contains(roots, parent) {
		return unknown("name", parent, roots)
	}
	known := append([]string{"principal.groups", "principal.roles", "request.time"}, celStrings...)
	known = slices.DeleteFunc(known, func(name string) bool { return !strings.HasPrefix(name, parent+".") })
	if slices.Contains(known, word) {
		return nil
	}
	return unknown("field", word, known)
}

func isFieldRune(r rune) bool {
	return r == '_' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// variables gives an expression what it asks for.
type variables struct {
	facts
	action Action
}

// Parent implements CEL's Activation: there is no outer scope.
func (*variables) Parent() cel.Activation { return nil }

// ResolveName implements CEL's Activation.
func (v *variables) ResolveName(name string) (any, bool) {
	p := v.principal
	if p == nil {
		p = authn.Anonymous
	}
	switch name {
	case "claims":
		if p.Claims == nil {
			return map[string]any{}, true
		}
		return p.Claims, true
	case "principal.kind":
		return string(p.Kind), true
	case "principal.name":
		return p.Name, true
	case "principal.issuer":
		return p.Issuer, true
	case "principal.subject":
		return p.Subject, true
	case "principal.groups":
		if p.GroupsUnread {
			return nil, false // it cannot be evaluated
		}
		return list(p.Groups), true
	case "principal.roles":
		if p.RolesUnread || p.HeaderRolesUnread {
			return nil, false
		}
		return list(slices.Concat(p.Roles, p.HeaderRoles)), true
	case "principal.authenticator":
		return p.Authenticator, true
	case "principal.credential":
		return p.Credential, true
	}
	return v.request(name)
}

func (v *variables) request(name string) (any, bool) {
	q := &v.query
	switch name {
	case "request.action":
		return v.action.String(), true
	case "request.type":
		return resourceType(q.Type), true
	case "request.repository":
		return q.Repository, true
	case "request.reference":
		if q.Tag != "" {
			return q.Tag, true
		}
		return q.Digest, true
	case "request.tag":
		return q.Tag, true
	case "request.digest":
		return q.Digest, true
	case "request.ip":
		if !q.Remote.IsValid() {
			return nil, false // as `from` has it
		}
		return addrText(q.Remote), true
	case "request.user_agent":
		return q.UserAgent[:min(len(q.UserAgent), maxAgent)], true
	case "request.method":
		return q.Method, true
	case "request.time":
		return q.Time, true
	}
	return nil, false
}

// list keeps CEL from seeing a nil list as null.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().String()
}

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
