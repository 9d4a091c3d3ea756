package authz

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestExpressionsHaveAPrice: what could cost too much is refused when it is
// written, and what can't be told then is cut off.
func TestExpressionsHaveAPrice(t *testing.T) {
	nine := `[1,2,3,4,5,6,7,8,9]`
	nested := func(depth int, inner string) string {
		for i := range depth {
			inner = fmt.Sprintf("%s.all(x%d, %s)", nine, i, inner)
		}
		return inner
	}
	for _, text := range []string{
		nested(5, "x0 > 0"),
		nested(3, `request.time.getHours("Europe/Berlin") >= 0`),
		nested(3, `request.user_agent.matches("a*b") || true`),
		`request.user_agent.matches("((a{0,30}){0,30}){0,30}b")`,
		`request.user_agent.matches("` + strings.Repeat("[a-z]{900}", 3) + `")`,
		`request.user_agent.matches(request.tag)`,
		`"a".matches("(" + request.user_agent + ")*")`,
		`request.user_agent.matches("(")`,
		`claims.a.all(a, claims.a.all(b, claims.a.all(c, a + b + c > 0)))`,
	} {
		if _, err := compileExpression(text); err == nil {
			t.Errorf("accepted: %s", text)
		}
	}
	for _, text := range []string{
		`claims.ref.matches("^refs/heads/(main|release-.*)$")`,
		`principal.groups.exists(g, g.startsWith("team-") && g.endsWith("-leads"))`,
		`claims.a.all(a, claims.b.exists(b, a == b))`,
		`request.time.getHours("Europe/Berlin") >= 8 && request.time.getDayOfWeek("Europe/Berlin") < 6`,
		`matches(request.user_agent, "docker/[0-9]+")`,
	} {
		if _, err := compileExpression(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// worked is how long this process has used a processor: a busy machine makes
// nothing more costly.
func worked(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestExpressionsEndInTime: whatever claims and headers hold, an evaluation that
// was accepted takes some milliseconds at most, and so does a decision with many
// of them.
func TestExpressionsEndInTime(t *testing.T) {
	long := strings.Repeat("a", 100_000)
	many := make([]any, 20_000)
	for i := range many {
		many[i] = fmt.Sprint("value-", i)
	}
	who := &authn.Principal{Kind: authn.KindUser, Name: "x", Claims: map[string]any{"long": long, "many": many, "same": many}}
	grant := func(n int, when string) Grant {
		return Grant{Role: "guest", Subjects: []string{"anyone"}, Conditions: Conditions{When: when + fmt.Sprintf(" && %d > 0", -n-1)}}
	}
	for _, when := range []string{
		`claims.long.matches("((a{0,9}){0,9})*b")`,
		`request.user_agent.matches("(a?){20}(a*)*b")`,
		`claims.many.all(x, claims.same.exists(y, x == y))`,
		`claims.many.all(x, claims.many == claims.same)`,
		`claims.many.all(x, size(claims.long) > 0)`,
		`(claims.long + claims.long + claims.long).matches("a*b")`,
	} {
		var grants []Grant
		for n := range 200 {
			grants = append(grants, grant(n, when))
		}
		p := mustCompile(t, Config{Projects: []Project{{Patterns: []string{"a"}, Grants: grants}}})
		begin := worked(t)
		if p.Decide(who, &Query{Repository: "a", Action: Pull, UserAgent: long}).Allowed {
			t.Errorf("%s: allowed", when)
		}
		if d := worked(t) - begin; d > 3*time.Second {
			t.Errorf("%s, 200 times: %s", when, d)
		} else {
			t.Logf("%s: %s", when, d)
		}
	}
}
