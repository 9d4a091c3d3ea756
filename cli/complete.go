package cli

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// names returns words for the completion of what was typed.
type names func(ctx context.Context, api *client.Client, typed string) ([]string, error)

const (
	// completionTime is how long a shell waits for words.
	completionTime = 2 * time.Second
	maxCompletions = 200
)

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
