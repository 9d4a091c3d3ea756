package management

import (
	"encoding/base64"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// PageQuery asks for a part of a list.
type PageQuery struct {
	// Limit is how many at most; 0 is 100.
	Limit int
	// Cursor is the Next of the page before; empty is the beginning.
	Cursor string
}

// Page is a part of a list.
type Page[T any] struct {
	Items []T
	// Next is the cursor of the page that follows; empty: there is none.
	Next string
}

const (
	defaultPage = 100
	maxPage     = 1000
	maxCursor   = 1024
)

// cursorPrefix begins every cursor before it is encoded.
const cursorPrefix = "1:"

func encodeCursor(id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorPrefix + id))
}

func (q PageQuery) after() (string, error) {
	if q.Cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	id, ok := strings.CutPrefix(string(raw), cursorPrefix)
	if err != nil || !ok || len(q.Cursor) > maxCursor {
		return "", invalid("cursor", "is none that was handed out")
	}
	return id, nil
}

func (q PageQuery) limit() (int, error) {
	switch {
	case q.Limit == 0:
		return defaultPage, nil
	case q.Limit < 0 || q.Limit > maxPage:
		return 0, invalid("limit", "want 1 to %d", maxPage)
	}
	return q.Limit, nil
}

// page returns the part of a list that is asked for, in the order of ids.
func page[T, R any](q PageQuery, list iter.Seq[T], id func(T) string, show func(T) R) (*Page[R], error) {
	after, err := q.after()
	if err != nil {
		return nil, err
	}
	limit, err := q.limit()
	if err != nil {
		return nil, err
	}
	var found []T
	for item := range list {
		if id(item) > after {
			found = append(found, item)
		}
	}
	slices.SortFunc(found, func(a, b T) int { return strings.Compare(id(a), id(b)) })
	p := &Page[R]{Items: make([]R, 0, min(limit, len(found)))}
	for i, item := range found {
		if i == limit {
			p.Next = encodeCursor(id(found[i-1]))
			break
		}
		p.Items = append(p.Items, show(item))
	}
	return p, nil
}

// at names a member of a list.
func at(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }
