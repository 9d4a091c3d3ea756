package runner

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// contenders is how many requests a race has.
const contenders = 100

// race sends a row that expects a count of statuses many times at once. An
// administrator's key that somebody wins is kept.
func (r *Runner) race(ctx context.Context, row Row, o *outcome, q *request) error {
	if !slices.ContainsFunc(row.ExpectNot, func(w string) bool { return strings.HasPrefix(w, "count(") }) {
		return nil
	}
	answers, errs := make([]*answer, contenders), make([]error, contenders)
	answers[0] = o.answer
	var running sync.WaitGroup
	for i := 1; i < contenders; i++ {
		running.Go(func() { answers[i], errs[i] = r.send(ctx, q, net.IPv4(127, 201, 0, byte(i))) })
	}
	running.Wait()
	for i, a := range answers {
		if errs[i] != nil {
			return errs[i]
		}
		o.statuses[a.status]++
		if a.status == http.StatusCreated {
			r.bootstrapped(a.body)
		}
	}
	return nil
}

// othersThan checks that a race was won by as many as said.
func (o *outcome) othersThan(argument string) (string, error) {
	created := fmt.Sprint(o.statuses[http.StatusCreated])
	return found(created != argument, "%s were created, want %s: statuses %v", created, argument, o.statuses)
}
