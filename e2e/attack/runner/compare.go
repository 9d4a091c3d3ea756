package runner

import (
	"context"
	"fmt"
	"regexp"
	"slices"
)

// other sends the request of another row, for comparison.
func (r *Runner) other(ctx context.Context, id string) (*outcome, error) {
	row, ok := r.rows[id]
	if !ok {
		return nil, unsupported("comparison with row %s, which is not there", id)
	}
	r.played++
	row = r.translate(row)
	q, err := r.fill(ctx, row, 0)
	if err != nil {
		return nil, err
	}
	return r.observe(ctx, row, q)
}

// differsFrom checks that two rows are answered alike, but for the names that
// each row itself mentions: nobody can tell what exists from what does not.
func (o *outcome) differsFrom(id string) (string, error) {
	peer, err := o.peer(id)
	if err != nil {
		return "", err
	}
	if o.answer.status != peer.answer.status {
		return fmt.Sprintf("status %d, but %d for %s", o.answer.status, peer.answer.status, id), nil
	}
	if mine, theirs := o.headerNames(), peer.headerNames(); !slices.Equal(mine, theirs) {
		return fmt.Sprintf("headers %v, but %v for %s", mine, theirs, id), nil
	}
	mine, theirs := o.anonymized(), peer.anonymized()
	return found(mine != theirs, "answer %.150q, but %.150q for %s", mine, theirs, id)
}

func (o *outcome) headerNames() []string {
	var names []string
	for name := range o.answer.header {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

var repositoryInPath = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs|tags|referrers)/`)

// anonymized is the body and challenge without the repository of the row.
func (o *outcome) anonymized() string {
	text := o.answer.header.Get("WWW-Authenticate") + "\n" + string(o.answer.body)
	if m := repositoryInPath.FindStringSubmatch(o.row.Path); m != nil {
		text = regexp.MustCompile(regexp.QuoteMeta(m[1])).ReplaceAllString(text, "REPOSITORY")
	}
	return text
}
