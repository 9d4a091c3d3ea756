package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// argumentsOf checks the arguments against the usage: "show <name>",
// "list [<text>]".
func argumentsOf(usage string) cobra.PositionalArgs {
	var names []string
	least := 0
	for _, word := range strings.Fields(usage)[1:] {
		names = append(names, strings.Trim(word, "[]<>"))
		if word[0] == '<' {
			least++
		}
	}
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("the %s is missing: %s", names[len(args)], cmd.UseLine())
		case len(args) > len(names):
			return fmt.Errorf("%.60q is too much: %s", args[len(names)], cmd.UseLine())
		}
		for i, a := range args {
			if a == "" {
				return fmt.Errorf("the %s is empty", names[i])
			}
		}
		return nil
	}
}

// unknownWord is the error for a word that is none of those known, with the
// nearest of them or, if none is near, all.
func unknownWord(what, word string, known []string) error {
	if near := authz.Nearest(word, known); near != "" {
		return fmt.Errorf("unknown %s %.60q: did you mean %q?", what, word, near)
	}
	return fmt.Errorf("unknown %s %.60q: want one of %s", what, word, strings.Join(known, ", "))
}
