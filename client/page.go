package client

import (
	"context"
	"iter"
	"maps"
	"net/url"
)

// page is a part of a list.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// All goes through a list, page by page, as it is needed. After an error there
// is nothing more.
func All[T any](ctx context.Context, c *Client, path string, query url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		q := maps.Clone(query)
		if q == nil {
			q = url.Values{}
		}
		for {
			p, err := Get[page[T]](ctx, c, path, q)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range p.Items {
				if !yield(item, nil) {
					return
				}
			}
			if p.Next == "" {
				return
			}
			q.Set("cursor", p.Next)
		}
	}
}

// Collect returns a list as a whole, at most so many members of it; 0 is all.
func Collect[T any](ctx context.Context, c *Client, path string, query url.Values, most int) ([]T, error) {
	list := []T{}
	for item, err := range All[T](ctx, c, path, query) {
		if err != nil {
			return nil, err
		}
		if list = append(list, item); len(list) == most {
			break
		}
	}
	return list, nil
}
