package main

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// switches is what a mutated package has in addition: the mutant in force, and
// what stands in place of a condition, an error and a statement.
const switches = `
import (
	"os"
	"strconv"
	"sync"
)

var mutantInForce, _ = strconv.Atoi(os.Getenv("MUTANT"))
var mutantTrace = os.Getenv("MUTANTS_TRACE")
var mutantsSeen sync.Map

func mutantIs(id int) bool {
	if mutantTrace != "" {
		if _, seen := mutantsSeen.LoadOrStore(id, true); !seen {
			if f, err := os.OpenFile(mutantTrace, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
				f.WriteString(strconv.Itoa(id) + "\n")
				f.Close()
			}
		}
	}
	return id == mutantInForce
}

func mutantBool[T ~bool](id int, v, instead T) T {
	if mutantIs(id) {
		return instead
	}
	return v
}

func mutantError(id int, err error) error {
	if mutantIs(id) {
		return nil
	}
	return err
}
`

// mutant is one change of the code.
type mutant struct {
	id   int
	at   string
	what string
}

func (m mutant) String() string { return fmt.Sprintf("%d %s: %s", m.id, m.at, m.what) }

// file is a source file with the switches of its mutants in it.
type file struct {
	name      string
	positions *token.FileSet
	syntax    *ast.File
	mutants   []mutant
	after     int
}

// parse reads a file and puts the mutants in, numbered after those before.
func parse(path string, after int) (*file, error) {
	positions := token.NewFileSet()
	syntax, err := parser.ParseFile(positions, path, nil, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return nil, err
	}
	f := &file{name: syntax.Name.Name, positions: positions, syntax: syntax, after: after}
	for _, d := range syntax.Decls {
		if function, ok := d.(*ast.FuncDecl); ok && function.Body != nil {
			f.function(function.Type, function.Body)
		}
	}
	syntax.Comments = slices.DeleteFunc(syntax.Comments, func(c *ast.CommentGroup) bool {
		return !strings.Contains(c.List[len(c.List)-1].Text, "//go:embed")
	})
	return f, nil
}

func (f *file) add(n ast.Node, what string) *ast.BasicLit {
	p := f.positions.Position(n.Pos())
	m := mutant{id: f.after + len(f.mutants) + 1, at: fmt.Sprintf("%s:%d", filepath.Base(p.Filename), p.Line), what: what}
	f.mutants = append(f.mutants, m)
	return &ast.BasicLit{Kind: token.INT, Value: strconv.Itoa(m.id)}
}

func (f *file) text(n ast.Node) string {
	var b strings.Builder
	_ = format.Node(&b, f.positions, n)
	if s, rest, cut := strings.Cut(b.String(), "\n"); cut && rest != "" {
		return s + " …"
	}
	return b.String()
}

func call(name string, arguments ...ast.Expr) ast.Expr {
	return &ast.CallExpr{Fun: ast.NewIdent(name), Args: arguments}
}

// results are those of a function: the type of the last, and whether there is
// one only.
type results struct {
	kind   string
	single bool
}

// function puts mutants into a body and the functions in it.
func (f *file) function(t *ast.FuncType, body *ast.BlockStmt) {
	var last results
	if t.Results != nil && len(t.Results.List) > 0 {
		if id, ok := t.Results.List[len(t.Results.List)-1].Type.(*ast.Ident); ok {
			last.kind = id.Name
		}
		last.single = t.Results.NumFields() == 1
	}
	f.block(&body.List, last)
}

func (f *file) block(list *[]ast.Stmt, last results) {
	for i, s := range *list {
		(*list)[i] = f.statement(s, last)
	}
}

func (f *file) statement(s ast.Stmt, last results) ast.Stmt {
	switch s := s.(type) {
	case *ast.BlockStmt:
		f.block(&s.List, last)
	case *ast.IfStmt:
		if s.Init != nil {
			f.literals(s.Init)
		}
		s.Cond = f.condition(s.Cond, true)
		f.block(&s.Body.List, last)
		if s.Else != nil {
			s.Else = f.statement(s.Else, last)
		}
	case *ast.ForStmt:
		if s.Cond != nil {
			s.Cond = f.condition(s.Cond, false)
		}
		f.block(&s.Body.List, last)
	case *ast.RangeStmt:
		f.block(&s.Body.List, last)
	case *ast.SwitchStmt:
		for _, c := range s.Body.List {
			c := c.(*ast.CaseClause)
			if s.Tag == nil {
				for i := range c.List {
					c.List[i] = f.condition(c.List[i], true)
				}
			}
			f.block(&c.Body, last)
		}
	case *ast.TypeSwitchStmt:
		for _, c := range s.Body.List {
			f.block(&c.(*ast.CaseClause).Body, last)
		}
	case *ast.SelectStmt:
		for _, c := range s.Body.List {
			f.block(&c.(*ast.CommClause).Body, last)
		}
	case *ast.LabeledStmt:
		s.Stmt = f.statement(s.Stmt, last)
	case *ast.ReturnStmt:
		f.result(s, last)
	case *ast.ExprStmt:
		if c, ok := s.X.(*ast.CallExpr); ok && f.leavable(c) {
			return f.without(s)
		}
		f.literals(s)
	case *ast.AssignStmt:
		f.literals(s)
		if s.Tok != token.DEFINE && f.text(s.Lhs[0]) != "_" {
			return f.without(s)
		}
	case *ast.IncDecStmt, *ast.BranchStmt:
		if b, ok := s.(*ast.BranchStmt); ok && b.Tok != token.CONTINUE {
			return s
		}
		return f.without(s)
	default:
		f.literals(s)
	}
	return s
}

// leavable are calls that a function can be without: one that locks only
// hangs, and one that panics ends the function.
func (f *file) leavable(c *ast.CallExpr) bool {
	name := f.text(c.Fun)
	for _, no := range []string{"Lock", "Unlock", "RLock", "RUnlock", "panic"} {
		if name == no || strings.HasSuffix(name, "."+no) {
			return false
		}
	}
	f.literals(c)
	return true
}

func (f *file) without(s ast.Stmt) ast.Stmt {
	id := f.add(s, "without "+f.text(s))
	return &ast.IfStmt{
		Cond: &ast.UnaryExpr{Op: token.NOT, X: call("mutantIs", id)},
		Body: &ast.BlockStmt{List: []ast.Stmt{s}},
	}
}

// literals goes on into the functions that are values.
func (f *file) literals(n ast.Node) {
	ast.Inspect(n, func(n ast.Node) bool {
		if l, ok := n.(*ast.FuncLit); ok {
			f.function(l.Type, l.Body)
			return false
		}
		return true
	})
}

// result mutates the last value that a function returns.
func (f *file) result(s *ast.ReturnStmt, last results) {
	if len(s.Results) == 0 {
		return
	}
	i := len(s.Results) - 1
	value := s.Results[i]
	switch last.kind {
	case "bool":
		if id, ok := value.(*ast.Ident); ok && (id.Name == "true" || id.Name == "false") {
			other := map[string]string{"true": "false", "false": "true"}[id.Name]
			s.Results[i] = call("mutantBool", f.add(s, f.text(s)+" gives "+other), value, ast.NewIdent(other))
			return
		}
		if _, call := value.(*ast.CallExpr); i == 0 && call && !last.single {
			return
		}
		s.Results[i] = f.condition(value, true)
	case "error":
		if id, ok := value.(*ast.Ident); ok && id.Name == "nil" {
			return
		}
		if _, call := value.(*ast.CallExpr); i == 0 && call && !last.single {
			return
		}
		s.Results[i] = call("mutantError", f.add(s, f.text(s)+" gives no error"), value)
	default:
		f.literals(s)
	}
}

// condition makes each part of a condition true, false, and off by one.
func (f *file) condition(e ast.Expr, both bool) ast.Expr {
	switch x := e.(type) {
	case *ast.ParenExpr:
		x.X = f.condition(x.X, both)
		return x
	case *ast.UnaryExpr:
		if x.Op == token.NOT {
			x.X = f.condition(x.X, both)
			return x
		}
	case *ast.BinaryExpr:
		if x.Op == token.LAND || x.Op == token.LOR {
			x.X, x.Y = f.condition(x.X, both), f.condition(x.Y, both)
			return x
		}
	}
	text := f.text(e)
	f.literals(e)
	wrapped := e
	if x, ok := e.(*ast.BinaryExpr); ok {
		bound := map[token.Token]token.Token{token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR}
		if op, ok := bound[x.Op]; ok {
			id := f.add(e, fmt.Sprintf("%s with %s", text, op))
			wrapped = call("mutantBool", id, wrapped, &ast.BinaryExpr{X: x.X, Op: op, Y: x.Y})
		}
	}
	wrapped = call("mutantBool", f.add(e, text+" is false"), wrapped, ast.NewIdent("false"))
	if both {
		wrapped = call("mutantBool", f.add(e, text+" is true"), wrapped, ast.NewIdent("true"))
	}
	return wrapped
}
