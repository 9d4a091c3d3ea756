package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// The environment that the commands look at.
const (
	envAddress = "REGISTRY_AUTH_ADDRESS"
	envKey     = "REGISTRY_AUTH_KEY"
)

// connection says which gateway is meant and what is shown to it.
type connection struct {
	address, realm, key, keyFile string
	insecureHTTP                 bool
	keyless                      bool // there is no key yet
	wait                         time.Duration
}

// flags adds what all commands have.
func (t *tool) flags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVar(&t.address, "address", "", "https URL of a gateway, or address of Caddy's administration endpoint (default: "+envAddress+", or the local one)")
	f.StringVarP(&t.realm, "realm", "r", "", "Name of the realm on an administration endpoint, if there are several")
	f.StringVar(&t.key, "key", "", "- reads the key from standard input; never the key itself, which stands in "+envKey+" or a file")
	f.StringVar(&t.keyFile, "key-file", "", "File with the key")
	f.BoolVar(&t.insecureHTTP, "insecure-http", false, "Send the key over http, where others can read it")
	f.DurationVar(&t.wait, "wait", 0, "How long to try again while the gateway is not ready")
	f.BoolVar(&t.json, "json", false, "Print JSON")
	f.BoolVarP(&t.quiet, "quiet", "q", false, "Print nothing but what was made: a secret, and that alone")
}

// call is one run of a command.
type call struct {
	*client.Client
	*tool
	ctx  context.Context //nolint:containedctx // it is the run's
	cmd  *cobra.Command
	args []string
}

// connect makes the client for a run.
func (t *tool) connect(cmd *cobra.Command, args []string) (*call, error) {
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	api, err := t.client(cmd.InOrStdin())
	return &call{Client: api, tool: t, ctx: ctx, cmd: cmd, args: args}, err
}

func (t *tool) client(stdin io.Reader) (*client.Client, error) {
	address := cmp.Or(t.address, t.Getenv(envAddress))
	if address == "" {
		address = t.Admin()
	}
	o := client.Options{
		Address: address, Realm: t.realm, InsecureHTTP: t.insecureHTTP, Wait: t.wait, Agent: "caddy-registry-auth/" + cmp.Or(t.Version, "unknown"),
	}
	gateway := strings.Contains(address, "://")
	switch {
	case gateway:
		var err error
		if !t.keyless {
			if o.Key, err = t.readKey(stdin); err != nil {
				return nil, err
			}
		}
		if t.realm != "" {
			return nil, errors.New("--realm is for an administration endpoint: a gateway's URL is that of one realm")
		}
	case t.key != "" || t.keyFile != "":
		return nil, errors.New("a key is for a gateway: give its https URL with --address")
	}
	return client.New(o)
}

// readKey returns what is shown to a gateway.
func (t *tool) readKey(stdin io.Reader) (string, error) {
	switch {
	case t.key != "" && t.keyFile != "":
		return "", errors.New("--key and --key-file: want one of the two")
	case t.key == "-":
		return readSecret("the key", stdin)
	case t.key != "":
		return "", fmt.Errorf("--key takes only -, for standard input: everybody on the machine can read a command line. Use %s or --key-file, and replace the key if it was a real one", envKey)
	case t.keyFile != "":
		return secretFile("the key", t.keyFile, stdin)
	}
	if key := t.Getenv(envKey); key != "" {
		return strings.TrimSpace(key), nil
	}
	return "", fmt.Errorf("a gateway wants a key: set %s, or give --key-file or --key -", envKey)
}

// secretFile reads a secret out of a file, - for standard input.
func secretFile(what, name string, stdin io.Reader) (string, error) {
	if name == "-" {
		return readSecret(what, stdin)
	}
	file, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", what, err)
	}
	defer file.Close()
	return readSecret(what, file)
}

// maxSecret bounds what is read as a secret, in bytes.
const maxSecret = 4096

// readSecret reads the first line.
func readSecret(what string, r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxSecret)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading %s: %w", what, err)
	}
	secret := strings.TrimSpace(line)
	switch {
	case secret == "":
		return "", fmt.Errorf("reading %s: there is nothing", what)
	case len(line) >= maxSecret:
		return "", fmt.Errorf("reading %s: it is longer than %d bytes", what, maxSecret-1)
	}
	return secret, nil
}

func whoAmICommand(t *tool) *cobra.Command {
	cmd := t.command("whoami", "Shows who the key is, and what it may do", func(c *call) error {
		s, err := client.Get[management.Self](c.ctx, c.Client, client.Path("whoami"), nil)
		if err != nil {
			return err
		}
		var projects []string
		for _, p := range s.Projects {
			projects = append(projects, p.Project+" "+strings.Join(p.Actions, ","))
		}
		limits := ""
		if s.Limits != nil {
			if limits = permissionLines(*s.Limits); limits == "" {
				limits = "nothing in the registry"
			}
		}
		return c.show(s,
			field{"You are", strings.TrimSuffix(s.Kind+":"+s.Name, ":")},
			field{"Groups", words(s.Groups)},
			field{"Administrator", fmt.Sprint(s.Admin)},
			field{"Scopes", words(s.Scopes)},
			field{"Projects", strings.Join(projects, "\n")},
			field{"May", permissionLines(s.Permissions)},
			field{"At most", limits},
			field{"Expires", instant(s.Expires)})
	})
	cmd.Long = "\nShows who the key that is shown belongs to, and what it may do."
	return cmd
}
