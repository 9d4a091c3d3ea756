package registryauth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
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
