package command

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
)

func whoCanCommand() *cobra.Command {
	var realm realmFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "who-can [flags] <action> <repository>[:tag] | list _catalog",
		Short: "Lists who may do something to a repository",
		Long: `
Lists the subjects that the configuration allows an action on a repository,
each with the rule and its conditions, and those that it takes it from. Rules
name groups and roles: who is in them is known to the identity provider.

	caddy registry-auth who-can push team-a/app:v1

Exits with 0, or with 2 if the question or the configuration is wrong.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			query, err := parseQuery(args)
			if err != nil {
				return err
			}
			if query.Digest != "" {
				return fmt.Errorf("%s: ask for the repository or for a tag, a digest has no rules of its own", args[1])
			}
			loaded, err := realm.load(cmd.InOrStdin())
			if err != nil {
				return err
			}
			list := loaded.whoCan(query)
			text := list.text()
			if asJSON {
				if text, err = indented(list); err != nil {
					return err
				}
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	realm.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "Print JSON")
	return withStatus(cmd)
}

// holders are who may do something. It is the JSON of `who-can --json`.
type holders struct {
	Action   authz.Action `json:"action"`
	Target   string       `json:"target"`
	Holders  []holder     `json:"holders"`
	Protects []string     `json:"protected_by,omitempty"` // rules against everybody
	Notes    []string     `json:"notes,omitempty"`
}

type holder struct {
	Subject    string   `json:"subject"`
	Decision   string   `json:"decision"`
	Rule       string   `json:"rule"`
	Source     string   `json:"source,omitempty"`
	Conditions []string `json:"conditions,omitempty"`
}

func (r *loadedRealm) whoCan(q *authz.Query) *holders {
	list := &holders{Action: q.Action, Target: targetText(q), Holders: []holder{}}
	for _, h := range r.holdersOf(q) {
		if otherTag(h.Rule, q) {
			continue
		}
		decision := decisionAllow
		if h.Denied {
			decision = decisionDeny
		}
		conditions := append(h.Rule.Restrictions(), r.robots.restrictions(h.Subject)...)
		if strings.Contains(h.Pattern, "{") {
			conditions = append([]string{"the repository is " + h.Pattern}, conditions...)
		}
		list.Holders = append(list.Holders, holder{h.Subject, decision, h.Rule.String(), h.Rule.Source, conditions})
	}
	// Rules that hold for everybody are found with anybody.
	for _, o := range r.policy.Explain(authn.Anonymous, q).Rules {
		kind := o.Rule.Kind
		if o.Applies && (kind == authz.RuleReadOnly || kind == authz.RuleImmutable || kind == authz.RuleOwner || kind == authz.RuleCreator) {
			list.Protects = append(list.Protects, o.Rule.String()+in(o.Rule.Source)+": "+o.Why)
		}
	}
	if rule := mustBeSigned(r.policy, authn.Anonymous, q); rule != nil {
		list.Protects = append(list.Protects, signatureRule(rule)+": manifests must be signed, except for who may push")
	}
	if note := hostNote(q); note != "" {
		list.Notes = append(list.Notes, note)
	}
	return list
}

// holdersOf asks the policy.
func (r *loadedRealm) holdersOf(q *authz.Query) []authz.Holder {
	if q.Type == authz.TypeRegistry {
		return r.policy.WhoCanCatalog()
	}
	return r.policy.WhoCan(q.Action, q.Repository)
}

// otherTag reports whether a rule is about other tags than the one asked for.
// A tag has no slash, so that path.Match is what the policy does.
func otherTag(r *authz.Rule, q *authz.Query) bool {
	return q.Tag != "" && len(r.Tags) > 0 && !slices.ContainsFunc(r.Tags, func(pattern string) bool {
		ok, _ := path.Match(pattern, q.Tag)
		return ok
	})
}

func in(source string) string {
	if source == "" {
		return ""
	}
	return " (" + source + ")"
}

// text is the list for a terminal.
func (l *holders) text() []byte {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if len(l.Holders) == 0 {
		fmt.Fprintf(&b, "Nobody may %s %s.\n", l.Action, l.Target)
	} else {
		fmt.Fprintf(w, "SUBJECT\t%s\tSOURCE\tRULE\tCONDITIONS\n", strings.ToUpper(l.Action.String()))
	}
	for _, h := range l.Holders {
		conditions := "-"
		if len(h.Conditions) > 0 {
			conditions = strings.Join(h.Conditions, ", ")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", h.Subject, h.Decision, h.Source, h.Rule, conditions)
	}
	w.Flush()
	for _, p := range l.Protects {
		fmt.Fprintf(&b, "\nFor everybody: %s\n", p)
	}
	for _, note := range l.Notes {
		fmt.Fprintf(&b, "\nNote: %s\n", note)
	}
	return []byte(terminal.Text(b.String())) // names come from identity providers
}
