package registryauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// principalFlags say who asks.
type principalFlags struct {
	user, as      string
	anonymous     bool
	groups, roles []string
	claims        string
}

func (f *principalFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.user, "user", "u", "", "Name of the user who asks")
	cmd.Flags().StringVar(&f.as, "as", "", "Who asks: user:alice, robot:ci, workload:github or anonymous")
	cmd.Flags().BoolVar(&f.anonymous, "anonymous", false, "Nobody has signed in")
	cmd.Flags().StringSliceVarP(&f.groups, "groups", "g", nil, "Groups of the one who asks, separated by commas")
	cmd.Flags().StringSliceVar(&f.roles, "roles", nil, "Roles that the token gives")
	cmd.Flags().StringVar(&f.claims, "claims", "", "JSON file with the claims of the token")
}

// principal returns who asks.
func (f *principalFlags) principal() (*authn.Principal, error) {
	var who []string
	for _, w := range []string{f.as, prefixed("user:", f.user)} {
		if w != "" {
			who = append(who, w)
		}
	}
	if f.anonymous {
		who = append(who, string(authn.KindAnonymous))
	}
	switch len(who) {
	case 0:
		return nil, errors.New("who asks is missing: say --user alice, --as robot:ci, --as workload:github or --anonymous")
	case 1:
	default:
		return nil, fmt.Errorf("only one can ask, not %s", strings.Join(who, " and "))
	}
	var claims map[string]any
	if f.claims != "" {
		data, err := os.ReadFile(f.claims)
		if err != nil {
			return nil, fmt.Errorf("claims: %w", err)
		}
		if claims, err = parseClaims(data); err != nil {
			return nil, fmt.Errorf("claims: %s: %w", f.claims, err)
		}
	}
	return newPrincipal(who[0], f.groups, f.roles, claims)
}

func prefixed(prefix, name string) string {
	if name == "" {
		return ""
	}
	return prefix + name
}

// parseClaims reads claims as a token has them: one JSON object.
func parseClaims(data []byte) (map[string]any, error) {
	var claims map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&claims); err != nil {
		return nil, fmt.Errorf("want a JSON object: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("want one JSON object, there is more")
	}
	return claims, nil
}

// newPrincipal returns the principal that is called as rules call subjects.
func newPrincipal(who string, groups, roles []string, claims map[string]any) (*authn.Principal, error) {
	if who == string(authn.KindAnonymous) {
		if len(groups) > 0 || len(roles) > 0 || len(claims) > 0 {
			return nil, errors.New("somebody anonymous has no groups, roles or claims")
		}
		return authn.Anonymous, nil
	}
	kind, name, _ := strings.Cut(who, ":")
	p := &authn.Principal{Kind: authn.Kind(kind), Name: name, Groups: groups, Roles: roles, Claims: claims}
	switch p.Kind {
	case authn.KindUser, authn.KindWorkload:
		if strings.ContainsAny(name, ": \t\n") {
			return nil, fmt.Errorf("%s name %q: names have no colon and no space", kind, name)
		}
	case authn.KindRobot:
		if err := authn.CheckRobotName(name); name != "" && err != nil {
			return nil, err
		}
	case authn.KindAnonymous:
		return nil, errors.New("somebody anonymous has no name")
	default:
		return nil, unknownWord("principal", kind, []string{"user", "robot", "workload", "anonymous"})
	}
	if name == "" {
		return nil, fmt.Errorf("the name is missing: want for example %s:alice", kind)
	}
	p.Subject, _ = claims["sub"].(string)
	p.Issuer, _ = claims["iss"].(string)
	return p, nil
}
