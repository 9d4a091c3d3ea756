package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/cli"
	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/boltstore"
)

// stateTool is what the commands about the store's file share: they ask the
// gateway that has it open, or look at the file if none has.
type stateTool struct {
	address, file string
	json          bool
}

func stateCommand() *cobra.Command {
	t := new(stateTool)
	cmd := &cobra.Command{
		Use:   "state",
		Short: "Checks, copies and restores the file of the store",
		Long: `
Looks after the file of a bolt store: the gateway that has it open is asked over
Caddy's administration endpoint, and where none is, or a file is named, the file
itself is looked at. PostgreSQL has tools of its own, such as pg_dump.

	caddy registry-auth state verify
	caddy registry-auth state backup /srv/backup/state.db
	caddy registry-auth state restore /srv/backup/state.db`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownWord("command", args[0], []string{"verify", "backup", "restore"})
		},
	}
	cmd.PersistentFlags().StringVar(&t.address, "address", "", "Address of Caddy's administration endpoint (default: the local one)")
	cmd.PersistentFlags().StringVar(&t.file, "file", "", "File of a store whose gateway is stopped (default: registry_auth/state.db in Caddy's data directory)")
	cmd.PersistentFlags().BoolVar(&t.json, "json", false, "Print JSON")
	for _, c := range []*cobra.Command{t.verifyCommand(), t.backupCommand(), t.restoreCommand()} {
		run := c.RunE
		c.RunE = func(cmd *cobra.Command, args []string) error { return terminal.Error(stateStatus(cmd, run(cmd, args))) }
		cmd.AddCommand(c)
	}
	return withStatus(cmd)
}

// stateStatus gives an error its exit status: 1 where the answer is no, 3 where
// the gateway does not answer or has the file, 2 for everything else.
func stateStatus(cmd *cobra.Command, err error) error {
	status := cli.Status(err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNo):
		cmd.SilenceErrors = true
		status = exitNo
	case errors.Is(err, store.ErrDamaged):
		status = exitNo
	case errors.Is(err, store.ErrLocked):
		status = cli.StatusUnreachable
	}
	return &exitError{status, err}
}

// lockPatience is how long a command waits for a gateway that is ending.
const lockPatience = 5 * time.Second

func (t *stateTool) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify [<file>]",
		Short: "Looks at every page and record of a store, or of a copy",
		Long: `
Looks at every page of the file, at the checksum of every record, and at what the
records say of one another. It ends with status 1 if something is wrong.

	caddy registry-auth state verify
	caddy registry-auth state verify /srv/backup/state.db`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				t.file = args[0]
			}
			report, err := t.verify(cmd)
			if err != nil {
				return err
			}
			if err := t.print(cmd.OutOrStdout(), report); err != nil {
				return err
			}
			if len(report.Problems) > 0 {
				return errNo
			}
			return nil
		},
	}
}

func (t *stateTool) verify(cmd *cobra.Command) (*store.Report, error) {
	ctx := contextOf(cmd)
	report := new(store.Report)
	running, err := t.running(cmd, func(gateway *client.Client) error { return gateway.VerifyStore(ctx, report) })
	if running {
		return report, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	return boltstore.VerifyFile(ctx, t.path())
}

func (t *stateTool) print(w io.Writer, r *store.Report) error {
	if t.json {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	verdict := "good"
	if len(r.Problems) > 0 {
		verdict = "damaged"
	}
	fmt.Fprintf(w, "%s: %s, %d bytes, format %d\n", terminal.Text(r.Where), verdict, r.Bytes, r.Format)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(r.Realms) > 0 {
		fmt.Fprintln(table, "realm\trecords\tevents\tchanges\twithout checksum")
	}
	for _, realm := range r.Realms {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\n", terminal.Text(realm.Name), realm.Records, realm.Events, realm.Changes, realm.Unchecked)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(table, "! %s\n", terminal.Text(p))
	}
	return table.Flush()
}

func (t *stateTool) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup <to>",
		Short: "Makes a consistent copy of the store, also while the gateway runs",
		Long: `
Makes a copy of the store as it is at one moment, mode 0600, looks at it, and
gives it its name if it is good. What is there already is not replaced.

	caddy registry-auth state backup /srv/backup/state-$(date +%F).db`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := t.backup(cmd, args[0]); err != nil {
				return err
			}
			if t.json {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"backup": args[0]})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: made and found good.\n", args[0])
			return err
		},
	}
}

func (t *stateTool) backup(cmd *cobra.Command, to string) error {
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", to, cmp.Or(err, fs.ErrExist))
	}
	ctx := contextOf(cmd)
	running, err := t.running(cmd, func(gateway *client.Client) error {
		copied, err := gateway.BackupStore(ctx)
		if err != nil {
			return err
		}
		defer copied.Close()
		return keepCopy(ctx, copied, to)
	})
	if running {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	return boltstore.BackupFile(ctx, t.path(), to)
}

// keepCopy writes a copy that comes from a gateway to a file, and looks at it.
func keepCopy(ctx context.Context, from io.Reader, to string) error {
	file, err := os.CreateTemp(filepath.Dir(to), ".state-*.copy") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = io.Copy(file, from)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("the copy broke off: %w", err)
	}
	return boltstore.BackupFile(ctx, file.Name(), to)
}

func (t *stateTool) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore <backup>",
		Short: "Puts a copy in the place of the store, while the gateway is stopped",
		Long: `
Looks at a copy and, if it is good, puts it in the place of the store. What was
there is kept beside it. Run it as the user that Caddy runs as, and stop the
gateway first. What was revoked or rotated after the copy was made is good again.

	sudo -u caddy caddy registry-auth state restore /srv/backup/state.db`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(contextOf(cmd), lockPatience)
			defer cancel()
			replaced, err := boltstore.Restore(ctx, args[0], t.path())
			if err != nil {
				return err
			}
			if t.json {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"restored": t.path(), "replaced": replaced})
			}
			if replaced != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "What was there is %s now.\n", replaced)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: restored from %s.\n", t.path(), args[0])
			return err
		},
	}
}

// running asks the gateway that runs here, if no file was named. It reports
// false if there is none.
func (t *stateTool) running(cmd *cobra.Command, ask func(*client.Client) error) (bool, error) {
	if t.file != "" {
		return false, nil
	}
	address := cmp.Or(t.address, caddy.DefaultAdminListen)
	gateway, err := client.New(client.Options{Address: address, Agent: "caddy-registry-auth"})
	if err != nil {
		return true, err
	}
	err = ask(gateway)
	if unreachable := new(client.UnreachableError); t.address == "" && errors.As(err, &unreachable) {
		fmt.Fprintf(cmd.ErrOrStderr(), "No gateway answers at %s: looking at %s.\n", address, t.path())
		return false, nil
	}
	return true, err
}

func (t *stateTool) path() string {
	return cmp.Or(t.file, filepath.Join(caddy.AppDataDir(), "registry_auth", "state.db"))
}

func contextOf(cmd *cobra.Command) context.Context {
	if ctx := cmd.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}
