package cli

import (
	"errors"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

func bootstrapCommand(t *tool) *cobra.Command {
	var in management.BootstrapCall
	var secret string
	var reset bool
	cmd := &cobra.Command{
		Use: "bootstrap", Short: "Makes the first administrator's key, once", Args: argumentsOf("bootstrap"),
		Long: `
Makes a key for an administrator, which ends within the hour or as soon as it
has made one that lasts. On this machine, over Caddy's administration endpoint,
nothing else is needed; a gateway elsewhere wants the bootstrap secret. Once it
was done, --reset opens it again, on this machine only.

	caddy registry-auth bootstrap
	caddy registry-auth bootstrap --address https://registry.example.com --secret-file bootstrap-secret
	caddy registry-auth bootstrap --reset`,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := t.forBootstrap(cmd, args)
		if err != nil {
			return err
		}
		if reset {
			return c.resetBootstrap()
		}
		if secret != "" {
			if in.Secret, err = secretFile("the bootstrap secret", secret, cmd.InOrStdin()); err != nil {
				return err
			}
		} else if !c.Local() {
			return errors.New("a gateway wants the bootstrap secret: give --secret-file")
		}
		var made management.BootstrapKey
		if err := c.Do(c.ctx, http.MethodPost, client.Path("bootstrap"), nil, in, &made); err != nil {
			return err
		}
		return c.printMade(made, made.Key,
			field{"Id", made.ID}, field{"Name", made.Name}, field{"Scopes", words(made.Scopes)}, field{"Expires", instant(&made.Expires)})
	}
	cmd.Flags().StringVar(&in.Name, "name", "", "How lists call the key (default: bootstrap)")
	cmd.Flags().StringVar(&secret, "secret-file", "", "File with the bootstrap secret, - for standard input")
	cmd.Flags().BoolVar(&reset, "reset", false, "Open bootstrap again, whatever keys there are")
	return cmd
}

// forBootstrap connects without a key: there is none yet.
func (t *tool) forBootstrap(cmd *cobra.Command, args []string) (*call, error) {
	if t.key != "" || t.keyFile != "" {
		return nil, errors.New("bootstrap takes no key: it makes the first one")
	}
	keyless := *t
	keyless.keyless = true
	return keyless.connect(cmd, args)
}

func (c *call) resetBootstrap() error {
	if !c.Local() {
		return errors.New("--reset is for the machine of the gateway: use Caddy's administration endpoint there, or write the reset file")
	}
	if err := c.Do(c.ctx, http.MethodPost, client.Path("bootstrap", "reset"), nil, nil, nil); err != nil {
		return err
	}
	return c.done("bootstrap is open again")
}
