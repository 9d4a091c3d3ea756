package cli

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// lookupError: what was named is not there, or not the only one.
type lookupError struct{ text string }

func (e *lookupError) Error() string { return e.text }

// everything reads a list as a whole.
func everything[T any](c *call, path string, query url.Values) ([]T, error) {
	q := url.Values{"limit": {"1000"}}
	for name, v := range query {
		q[name] = v
	}
	return client.Collect[T](c.ctx, c.Client, path, q, 0)
}

// byName sorts what the gateway has in the order of ids, which say nothing.
func byName[T any](list []T, name func(T) string) {
	slices.SortStableFunc(list, func(a, b T) int { return strings.Compare(name(a), name(b)) })
}

// set sets a parameter that is given.
func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

// pick returns what is called by an id or, if it is the only one, by a name.
func pick[T any](list []T, what, called string, names func(T) (id, name string)) (id string, err error) {
	var found []string
	for _, item := range list {
		id, name := names(item)
		if id == called {
			return id, nil
		}
		if name == called {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", &lookupError{fmt.Sprintf("there is no %s %.80q (not-found)", what, called)}
	}
	return "", &lookupError{fmt.Sprintf("there are %d of the name %.80q: name one by its id, %s (conflict)", len(found), called, strings.Join(found, ", "))}
}

func usedAt(u *management.LastUsed) string {
	if u == nil {
		return ""
	}
	return instant(&u.At)
}

func used(u *management.LastUsed) string {
	if u == nil {
		return ""
	}
	text := instant(&u.At)
	if u.Remote != "" {
		text += " from " + u.Remote
	}
	if u.Agent != "" {
		text += " with " + u.Agent
	}
	return text
}

func since(t *time.Time, by string) string {
	text := instant(t)
	if by != "" {
		text += " by " + by
	}
	return strings.TrimSpace(text)
}
