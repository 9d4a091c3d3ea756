package runner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// Runner plays rows, on a stage that it sets and repairs.
type Runner struct {
	attacker *idp.Key
	collab   *collab
	secrets  secrets
	guesses  int
	played   int
	rows     map[string]Row

	// The stage with what is special about it and the name that it goes by,
	// whether a row was played on it and whether one left it other than it was.
	stage        *stage.Stage
	scene, host  string
	used, spoilt bool

	uploads       map[string]string   // query of open uploads by id
	adminKey      string              // of the management API, see admin
	sessions      map[string]string   // values of session cookies by person
	sessionCookie string              // its name
	attempts      map[string]*attempt // sign-ins of this row by who makes them
}

// New returns a runner. Close it.
func New() (*Runner, error) {
	attacker, err := idp.NewKey("ES256")
	if err != nil {
		return nil, err
	}
	collab, err := startCollab(attacker)
	if err != nil {
		return nil, err
	}
	return &Runner{attacker: attacker, collab: collab}, nil
}

// Close ends the stage and the runner's listener.
func (r *Runner) Close() error { return errors.Join(r.strike(), r.collab.close()) }

// Play plays one row and returns what is wrong with the outcome: nothing if
// it passed. There is an error if the stage cannot play it.
func (r *Runner) Play(ctx context.Context, row Row) ([]string, error) {
	if err := r.setStage(ctx, row.scene()); err != nil {
		return nil, err
	}
	r.used = true
	o, wrong, err := r.play(ctx, row)
	r.mend(ctx, o, len(wrong) > 0)
	return wrong, err
}

func (r *Runner) play(ctx context.Context, row Row) (*outcome, []string, error) {
	row = r.translate(row)
	r.attempts = map[string]*attempt{}
	r.played++
	if setup, ok := setups[row.ID]; ok {
		if err := setup(ctx, r); err != nil {
			return nil, nil, fmt.Errorf("setup: %w", err)
		}
	}
	q, err := r.fill(ctx, row, 0)
	if err != nil {
		return nil, nil, err
	}
	wanted, err := r.words(ctx, row.Expect)
	if err != nil {
		return nil, nil, err
	}
	unwanted, err := r.words(ctx, row.ExpectNot)
	if err != nil {
		return nil, nil, err
	}
	if err := r.turn(ctx); err != nil {
		return nil, nil, err
	}
	o, err := r.observe(ctx, row, q)
	if err != nil {
		return nil, nil, err
	}
	o.awaitLog(wanted, unwanted)
	wrong, err := o.judge(wanted, unwanted, &r.secrets)
	return o, wrong, err
}

// fill replaces the placeholders of a row for its n-th repetition.
func (r *Runner) fill(ctx context.Context, row Row, n int) (*request, error) {
	e := r.expander(ctx, n)
	q := &request{method: row.Method, raw: row.Raw}
	var err error
	if q.target, err = e.expand(row.Path); err != nil {
		return nil, err
	}
	q.target = r.resume(q.target)
	if q.body, err = e.expand(row.Body); err != nil {
		return nil, err
	}
	for _, h := range row.Headers {
		value, err := e.expand(h[1])
		if err != nil {
			return nil, err
		}
		q.headers = append(q.headers, [2]string{h[0], value})
	}
	return q, nil
}

// words are those of a row with their placeholders filled in.
func (r *Runner) words(ctx context.Context, of []string) ([]string, error) {
	e := r.expander(ctx, 0)
	var words []string
	for _, word := range of {
		word, err := e.expand(word)
		if err != nil {
			return nil, err
		}
		words = append(words, word)
	}
	return words, nil
}

func (r *Runner) expander(ctx context.Context, n int) *expander {
	return &expander{n: n, resolve: func(name, mutation, argument string) (string, error) {
		return r.resolve(ctx, name, mutation, argument)
	}}
}

// observe sends the request and looks at everything around it.
func (r *Runner) observe(ctx context.Context, row Row, q *request) (*outcome, error) {
	from := net.IPv4(127, 100, byte(r.played>>8), byte(r.played))
	o := &outcome{row: row, target: q.target, collab: r.collab.URL, statuses: map[int]int{}, sessionCookie: r.sessionCookie}
	o.peer = func(id string) (*outcome, error) { return r.other(ctx, id) }
	o.isAdmin = func(person string) (bool, error) { return r.isAdmin(ctx, person) }
	o.signedIn = func() (string, error) { return r.finish(ctx, o.answer) }
	before, err := r.stage.Gateway.RSS()
	if err != nil {
		return nil, err
	}
	logged, recorded, called := r.stage.Gateway.Log.Mark(), r.stage.Recorder.Mark(), r.collab.calls()
	if o.answer, err = r.send(ctx, q, from); err != nil {
		return nil, err
	}
	if err := r.repeat(ctx, row, o, from); err != nil {
		return nil, err
	}
	if err := r.race(ctx, row, o, q); err != nil {
		return nil, err
	}
	time.Sleep(5 * time.Millisecond) // for what arrives and is logged after the answer
	after, err := r.stage.Gateway.RSS()
	if err != nil {
		return nil, err
	}
	o.growth = after - before
	o.log = func() []string { return r.stage.Gateway.Log.Since(logged) }
	o.faults = r.stage.Gateway.Log.Faults(logged)
	o.upstream, o.wire = r.stage.Recorder.Since(recorded), r.stage.Recorder.Wire()
	o.outbound = r.collab.calls() - called
	return o, nil
}

// repeat sends a row that expects never-429-after:N until it is throttled, at
// most N times and a few more.
func (r *Runner) repeat(ctx context.Context, row Row, o *outcome, from net.IP) error {
	i := slices.IndexFunc(row.ExpectNot, func(w string) bool { return strings.HasPrefix(w, "never-429-after:") })
	if i < 0 {
		return nil
	}
	times, err := strconv.Atoi(strings.TrimPrefix(row.ExpectNot[i], "never-429-after:"))
	if err != nil {
		return fmt.Errorf("%s: %w", row.ExpectNot[i], err)
	}
	for n := 1; n < times+10 && !o.throttled; n++ {
		q, err := r.fill(ctx, row, n)
		if err != nil {
			return err
		}
		a, err := r.send(ctx, q, from)
		if err != nil {
			return err
		}
		o.throttled = a.status == http.StatusTooManyRequests
	}
	return nil
}

// judge returns what is wrong.
func (o *outcome) judge(wanted, unwanted []string, s *secrets) ([]string, error) {
	wrong := o.invariants(s)
	if !o.expected() {
		wrong = append(wrong, fmt.Sprintf("status %d, want %v: %.120q", o.answer.status, o.row.ExpectStatus, o.answer.body))
	}
	for _, word := range wanted {
		happened, err := o.happened(word)
		if err != nil {
			return wrong, err
		}
		if happened == "" {
			wrong = append(wrong, "not so: "+word)
		}
	}
	for _, word := range unwanted {
		happened, err := o.happened(word)
		if err != nil {
			return wrong, err
		}
		if happened != "" {
			wrong = append(wrong, happened)
		}
	}
	return wrong, nil
}
