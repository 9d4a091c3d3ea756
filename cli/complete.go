package cli

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// names returns words for the completion of what was typed.
type names func(ctx context.Context, api *client.Client, typed string) ([]string, error)

const (
	// completionTime is how long a shell waits for words.
	completionTime = 2 * time.Second
	maxCompletions = 200
)

// listed are the names of a list; q says whether it can be searched.
func listed(path string, q bool) names {
	return func(ctx context.Context, api *client.Client, typed string) ([]string, error) {
		query := url.Values{"limit": {"1000"}}
		if q {
			set(query, "q", typed)
		}
		type named struct {
			Name string `json:"name"`
		}
		var found []string
		for item, err := range client.All[named](ctx, api, path, query) {
			if err != nil {
				return nil, err
			}
			if strings.HasPrefix(item.Name, typed) && terminal.Line(item.Name) == item.Name {
				found = append(found, item.Name)
			}
			if len(found) == maxCompletions {
				break
			}
		}
		return found, nil
	}
}

var (
	robotNames   = listed("/robots", true)
	projectNames = listed("/projects", false)
	userNames    = listed("/users", true)
	keyNames     = listed("/keys", false)
	tokenNames   = listed("/tokens", false)
)

// completed lets the shell complete a command's first argument.
func (t *tool) completed(cmd *cobra.Command, of names) *cobra.Command {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return t.wordsFor(cmd, of, typed)
	}
	return cmd
}

// complete lets the shell complete a flag.
func (t *tool) complete(cmd *cobra.Command, flag string, of names) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return t.wordsFor(cmd, of, typed)
	})
}

// wordsFor asks the gateway. It never waits for a person or for long: without
// an answer there are no words.
func (t *tool) wordsFor(cmd *cobra.Command, of names, typed string) ([]string, cobra.ShellCompDirective) {
	if t.key == "-" || t.keyFile == "-" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	t.wait = 0
	api, err := t.client(strings.NewReader(""))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(context.Background(), completionTime)
	defer cancel()
	list, err := of(ctx, api, typed)
	if err != nil {
		cobra.CompDebugln(err.Error(), false)
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

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
