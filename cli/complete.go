package cli

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
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
