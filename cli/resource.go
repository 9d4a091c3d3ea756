package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
)

// resource is what the commands know of a kind of thing that the API lists:
// robots, projects and the like. Its methods make the commands that list,
// show, change and delete one, and the words that a shell completes.
type resource[V any] struct {
	path      string // of the list, and of each below it
	one, many string // as messages call them
	columns   []column[V]
	fields    func(*V) []field // of one that is shown
	// names returns the id of one, which its path takes, and the name by which
	// people may call it as well; nil: there is only the name.
	names func(V) (id, name string)
	// order is what a list is sorted by; nil: the gateway's order.
	order func(V) string
	// searched: the API finds by a text, q.
	searched bool
}

// list is the command that prints all of them, those that a query wants; nil:
// all.
func (r *resource[V]) list(t *tool, short string, query func(*call) (url.Values, error)) *cobra.Command {
	return t.command("list", short, func(c *call) (err error) {
		var q url.Values
		if query != nil {
			if q, err = query(c); err != nil {
				return err
			}
		}
		list, err := everything[V](c, client.Path(r.path), q)
		if err != nil {
			return err
		}
		if r.order != nil {
			byName(list, r.order)
		}
		return printList(c, r.many, list, r.columns...)
	})
}

// show is the command that prints one. Usage is as in "show <name>".
func (r *resource[V]) show(t *tool, usage, short string) *cobra.Command {
	return r.named(t, usage, short, func(c *call, id string) error {
		v, err := client.Get[V](c.ctx, c.Client, client.Path(r.path, id), nil)
		if err != nil {
			return err
		}
		return c.show(v, r.fields(&v)...)
	})
}

// remove is the command that deletes one, and says so.
func (r *resource[V]) remove(t *tool, usage, short, done string) *cobra.Command {
	return r.named(t, usage, short, func(c *call, id string) error {
		if err := c.Do(c.ctx, http.MethodDelete, client.Path(r.path, id), nil, nil, nil); err != nil {
			return err
		}
		return c.done("%s %s: %s", r.one, c.args[0], done)
	})
}

// change is a command that changes one and says so: a method, a word below its
// path or none, and a body.
func (r *resource[V]) change(t *tool, usage, short, done, method, below string, body any) *cobra.Command {
	return r.named(t, usage, short, func(c *call, id string) error {
		path := []string{r.path, id}
		if below != "" {
			path = append(path, below)
		}
		var v *V // a sign-out has no content
		if err := c.Do(c.ctx, method, client.Path(path...), nil, body, &v); err != nil {
			return err
		}
		if c.json && v != nil {
			return c.printJSON(v)
		}
		return c.done("%s %s: %s", r.one, c.args[0], done)
	})
}

// named is a command about the one that its first argument names. The shell
// completes it.
func (r *resource[V]) named(t *tool, usage, short string, run func(c *call, id string) error) *cobra.Command {
	return r.completed(t, t.command(usage, short, func(c *call) error {
		id, err := r.find(c, c.args[0])
		if err != nil {
			return err
		}
		return run(c, id)
	}))
}

// find returns the id of the one that is called so.
func (r *resource[V]) find(c *call, called string) (string, error) {
	if r.names == nil {
		return called, nil
	}
	q := url.Values{}
	if r.searched {
		q.Set("q", called)
	}
	list, err := everything[V](c, client.Path(r.path), q)
	if err != nil {
		return "", err
	}
	var found []string
	for _, v := range list {
		id, name := r.names(v)
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
		return "", &lookupError{fmt.Sprintf("there is no %s %.80q (not-found)", r.one, called)}
	}
	return "", &lookupError{fmt.Sprintf("there are %d of the name %.80q: name one by its id, %s (conflict)", len(found), called, strings.Join(found, ", "))}
}

// completed lets the shell complete a command's first argument with names.
func (r *resource[V]) completed(t *tool, cmd *cobra.Command) *cobra.Command {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return t.wordsFor(cmd, r.words, typed)
	}
	return cmd
}

// completes lets the shell complete a flag with names.
func (r *resource[V]) completes(t *tool, cmd *cobra.Command, flag string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return t.wordsFor(cmd, r.words, typed)
	})
}

// words are the names that begin as typed.
func (r *resource[V]) words(ctx context.Context, api *client.Client, typed string) ([]string, error) {
	query := url.Values{"limit": {"1000"}}
	if r.searched {
		set(query, "q", typed)
	}
	type named struct {
		Name string `json:"name"`
	}
	var found []string
	for item, err := range client.All[named](ctx, api, client.Path(r.path), query) {
		if err != nil {
			return nil, err
		}
		if item.Name != "" && strings.HasPrefix(item.Name, typed) && terminal.Line(item.Name) == item.Name {
			found = append(found, item.Name)
		}
		if len(found) == maxCompletions {
			break
		}
	}
	return found, nil
}

// lookupError: what was named is not there, or not the only one.
type lookupError struct{ text string }

func (e *lookupError) Error() string { return e.text }
