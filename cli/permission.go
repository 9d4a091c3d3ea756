package cli

import (
	"fmt"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// catalogWord is how --allow spells the permission to list all repositories.
const catalogWord = "catalog"

// parsePermissions reads "pull,push:team-a/**" and "catalog".
func parsePermissions(list []string) ([]management.Permission, error) {
	var out []management.Permission
	for _, text := range list {
		if text == catalogWord {
			out = append(out, management.Permission{Type: authz.TypeRegistry, Name: authz.CatalogName, Actions: []string{"*"}})
			continue
		}
		actions, pattern, ok := strings.Cut(text, ":")
		if !ok {
			return nil, fmt.Errorf("--allow %.80q: want actions and a pattern, such as pull,push:team-a/**, or catalog", text)
		}
		p := management.Permission{Type: authz.TypeRepository, Name: pattern}
		for word := range strings.SplitSeq(actions, ",") {
			if _, err := authz.ParseAction(word); err != nil && word != "*" {
				return nil, fmt.Errorf("--allow: %w", unknownWord("action", word, append(authz.AllActions.Names(), "*")))
			}
			p.Actions = append(p.Actions, word)
		}
		if err := authz.CheckPattern(pattern); err != nil {
			return nil, fmt.Errorf("--allow %.80q: %w", text, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// permissionText is what parsePermissions reads.
func permissionText(p management.Permission) string {
	if p.Type == authz.TypeRegistry {
		return catalogWord
	}
	return strings.Join(p.Actions, ",") + ":" + p.Name
}

func permissionLines(list []management.Permission) string {
	var lines []string
	for _, p := range list {
		lines = append(lines, permissionText(p))
	}
	return strings.Join(lines, "\n")
}

func permissionWords(list []management.Permission) string {
	return strings.ReplaceAll(permissionLines(list), "\n", " ")
}
