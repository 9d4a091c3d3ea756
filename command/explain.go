package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
)

// explainFlags are the command line of `explain`.
type explainFlags struct {
	realm     realmFlags
	principal principalFlags
	state     stateFlags
	ip, time  string
	userAgent string
	json      bool
}

func explainCommand() *cobra.Command {
	f := new(explainFlags)
	cmd := &cobra.Command{
		Use:   "explain [flags] <action> <repository>[:tag|@digest] | list _catalog",
		Short: "Says whether somebody may do something, and why",
		Long: `
Decides as the gateway would, from the configuration alone, and prints the
decision, its reason, the rules that concern it, and what would allow it. The
credential itself is taken to be good. Nothing is started and nobody is asked.

	caddy registry-auth explain --user alice --groups dev push team-a/app:v1
	caddy registry-auth explain --as robot:ci --ip 10.1.2.3 pull team-a/app
	caddy registry-auth explain --as workload:github --claims claims.json push team-a/app:v1

Where the decision depends on what the registry holds, as with immutable tags,
say it with --tag-exists, --tag-absent or --tags, --signed or --unsigned. What is
kept at run time is known from --owner, --mapping, or an export of the management
API:

	caddy registry-auth explain --stored export.yaml --user alice list _catalog

Exits with 0 if it is allowed, 1 if not, 2 if the question or the
configuration is wrong.`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.realm.add(cmd)
	f.principal.add(cmd)
	f.state.add(cmd)
	cmd.Flags().StringVar(&f.ip, "ip", "", "Address of the client")
	cmd.Flags().StringVar(&f.time, "time", "", "When it is asked, as 2027-01-31T18:00:00Z (default: now)")
	cmd.Flags().StringVar(&f.userAgent, "user-agent", "", "User agent of the client")
	cmd.Flags().BoolVar(&f.json, "json", false, "Print JSON")
	return withStatus(cmd)
}

func (f *explainFlags) run(cmd *cobra.Command, args []string) error {
	query, err := parseQuery(args)
	if err != nil {
		return err
	}
	if err := situate(query, f.ip, f.time, f.userAgent); err != nil {
		return err
	}
	principal, err := f.principal.principal()
	if err != nil {
		return err
	}
	state, err := f.state.state(cmd)
	if err != nil {
		return err
	}
	realm, err := f.realm.load(cmd.InOrStdin())
	if err != nil {
		return err
	}
	a, err := realm.ask(principal, query, state)
	if err != nil {
		return err
	}
	text := a.text()
	if f.json {
		if text, err = indented(a); err != nil {
			return err
		}
	}
	if _, err := cmd.OutOrStdout().Write(text); err != nil {
		return err
	}
	if a.Decision != decisionAllow {
		return errNo
	}
	return nil
}

// situate says from where and when something is asked.
func situate(q *authz.Query, ip, when, userAgent string) (err error) {
	if ip != "" {
		if q.Remote, err = netip.ParseAddr(ip); err != nil {
			return fmt.Errorf("ip %q: want an address such as 10.1.2.3", ip)
		}
	}
	if when != "" {
		if q.Time, err = time.Parse(time.RFC3339, when); err != nil {
			return fmt.Errorf("time %q: want for example 2027-01-31T18:00:00Z", when)
		}
	}
	q.UserAgent = userAgent
	return nil
}

func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(v)
	return b.Bytes(), err
}

// The decisions that an answer can have.
const (
	decisionAllow   = "allow"
	decisionDeny    = "deny"
	decisionDepends = "depends" // on what the registry holds
)

// explained is what the commands say about one question. It is the JSON of
// `explain --json`.
type explained struct {
	Decision  string       `json:"decision"`
	Reason    string       `json:"reason"`
	Principal string       `json:"principal"`
	Action    authz.Action `json:"action"`
	Target    string       `json:"target"`

	// Depends is the question to the registry, Cases what its answers lead to.
	Depends string          `json:"depends_on,omitempty"`
	Cases   []explainedCase `json:"cases,omitempty"`

	Rule   *authz.Rule     `json:"rule,omitempty"`
	Rules  []explainedRule `json:"rules"`
	Would  []string        `json:"would_allow,omitempty"`
	Shadow string          `json:"shadow,omitempty"`
	Notes  []string        `json:"notes,omitempty"`

	ask authz.Ask
}

// explainedCase is the decision for one answer of the registry.
type explainedCase struct {
	If       string `json:"if"`
	Decision string `json:"decision"`
	Reason   string `json:"reason"`
}

// explainedRule is a rule that concerns the question.
type explainedRule struct {
	Rule    string `json:"rule"`
	Source  string `json:"source,omitempty"`
	Applies bool   `json:"applies"`
	Why     string `json:"why"`
}

// ask decides what the gateway would decide, and says why.
func (r *loadedRealm) ask(p *authn.Principal, q *authz.Query, state registryState) (*explained, error) {
	if err := state.apply(q); err != nil {
		return nil, err
	}
	policy := r.about(state)
	x := policy.Explain(p, q)
	a := &explained{
		Decision: decisionOf(&x.Decision), Reason: x.Reason(), Principal: p.String(), Action: q.Action, Target: targetText(q),
		Rule: x.Rule, Rules: []explainedRule{}, Would: x.Would, Shadow: x.ShadowReason(),
	}
	for _, o := range x.Rules {
		a.Rules = append(a.Rules, explainedRule{o.Rule.String(), o.Rule.Source, o.Applies, o.Why})
	}
	for _, note := range []string{r.robotNote(p), hostNote(q), r.unknownNote(q, state, &x.Decision), signatureNote(policy, p, q, state, &x.Decision)} {
		if note != "" {
			a.Notes = append(a.Notes, note)
		}
	}
	out, err := r.robots.shutOut(p, q)
	if err != nil {
		return nil, err
	}
	if out != nil {
		if !x.Allowed {
			a.Notes = append(a.Notes, "let in, it would be refused as well: "+a.Reason)
		}
		a.Decision, a.Reason, a.Rule, a.Shadow, a.Would = decisionDeny, out.reason, nil, "", []string{out.would}
		return a, nil
	}
	if question := state.question(&x.Decision, q); question != "" {
		a.Decision, a.Depends, a.ask = decisionDepends, question, x.Ask
		a.Cases = cases(policy, p, *q, &x.Decision)
	}
	if rule := unsigned(policy, p, q, state); x.Allowed && rule != nil {
		a.Decision, a.Rule, a.Shadow = decisionDeny, nil, ""
		a.Reason = "the manifest has no valid signature: " + signatureRule(rule)
		a.Would = []string{"a signature of one of the keys of " + signatureRule(rule), "the right to push, with which a manifest can be signed"}
	}
	return a, nil
}

// cases decides for both answers of the registry. Which tags point at a digest
// has more than two.
func cases(policy *authz.Policy, p *authn.Principal, q authz.Query, refused *authz.Decision) []explainedCase {
	if refused.Ask != authz.AskAbsent {
		return nil
	}
	q.Absent = true
	absent := policy.Decide(p, &q)
	return []explainedCase{
		{"the tag exists", decisionDeny, refused.Reason()},
		{"the tag is new", decisionOf(&absent), absent.Reason()},
	}
}

func decisionOf(d *authz.Decision) string {
	if d.Allowed {
		return decisionAllow
	}
	return decisionDeny
}

// text is the answer for a terminal.
func (a *explained) text() []byte {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Decision:\t%s\n", a.headline())
	fmt.Fprintf(w, "Asked:\t%s %s by %s\n", a.Action, a.Target, a.Principal)
	if len(a.Cases) == 0 {
		fmt.Fprintf(w, "Reason:\t%s\n", a.Reason)
	}
	for _, c := range a.Cases {
		fmt.Fprintf(w, "If %s:\t%s: %s\n", c.If, decided(c.Decision), c.Reason)
	}
	if a.Shadow != "" {
		fmt.Fprintf(w, "Shadow:\t%s\n", a.Shadow)
	}
	for _, note := range a.Notes {
		fmt.Fprintf(w, "Note:\t%s\n", note)
	}
	w.Flush()
	fmt.Fprintln(&b, "\nRules that concern it:")
	if len(a.Rules) == 0 {
		fmt.Fprintln(&b, "  none")
	}
	for _, r := range a.Rules {
		applies := "no"
		if r.Applies {
			applies = "yes"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", applies, r.Source, r.Rule, r.Why)
	}
	w.Flush()
	if len(a.Would) > 0 {
		fmt.Fprintln(&b, "\nWhat would allow it:")
	}
	for _, way := range a.Would {
		fmt.Fprintf(&b, "  - %s\n", way)
	}
	return []byte(terminal.Text(b.String())) // names come from identity providers
}

func (a *explained) headline() string {
	if a.Decision == decisionDepends {
		say := map[authz.Ask]string{authz.AskAbsent: "--tag-exists or --tag-absent", authz.AskTags: "--tags"}
		return "depends on " + a.Depends + "; say it with " + say[a.ask]
	}
	return decided(a.Decision)
}

func decided(decision string) string {
	if decision == decisionAllow {
		return "allowed"
	}
	return "denied"
}

// mustBeSigned returns the rule by which a principal may pull only what is
// signed; nil if there is none. Who may push may pull what is not signed yet,
// as at the gateway.
func mustBeSigned(policy *authz.Policy, p *authn.Principal, q *authz.Query) *authz.SignatureRule {
	rules := policy.Signatures(q.Repository)
	if q.Type == authz.TypeRegistry || q.Action&authz.Pull == 0 || len(rules) == 0 {
		return nil
	}
	push := *q
	push.Action, push.Tag, push.Tags, push.Digest = authz.Push, "", []string{}, ""
	if policy.Decide(p, &push).Allowed {
		return nil
	}
	return rules[0]
}

// unsigned returns the rule that refuses a pull because the manifest was said
// to have no signature.
func unsigned(policy *authz.Policy, p *authn.Principal, q *authz.Query, s registryState) *authz.SignatureRule {
	if s.signed == nil || *s.signed {
		return nil
	}
	return mustBeSigned(policy, p, q)
}

// signatureNote says that a pull that is allowed also needs a signature.
func signatureNote(policy *authz.Policy, p *authn.Principal, q *authz.Query, s registryState, d *authz.Decision) string {
	rule := mustBeSigned(policy, p, q)
	if rule == nil || s.signed != nil || !d.Allowed {
		return ""
	}
	return "the manifest must be signed as well: " + signatureRule(rule) + "; say whether it is with --signed or --unsigned"
}

func signatureRule(r *authz.SignatureRule) string { return "require signature" + in(r.Source) }
