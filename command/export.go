package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/export"
)

// exportFlags are those of export-config.
type exportFlags struct {
	realmFlags
	format, user, certificates, jwks string
}

func exportConfigCommand() *cobra.Command {
	f := new(exportFlags)
	var formats strings.Builder
	for _, format := range export.Formats() {
		fmt.Fprintf(&formats, "\n  %-14s %s", format.Name, format.Description)
	}
	cmd := &cobra.Command{
		Use:   "export-config --for <format>",
		Short: "Prints what a registry or a client needs to know of the gateway",
		Long: `
Prints the configuration of the other side: of a registry that is to verify the
gateway's tokens, or of a client. Formats:
` + formats.String() + `

Where the gateway's keys are part of it, they are fetched from the running
gateway, unless --certificates and --jwks name files that have them. Where a
login is, --user says whose, and the secret is read from standard input.

	caddy registry-auth export-config --for distribution
	caddy registry-auth export-config --for docker-config --user robot-ci < secret.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.add(cmd)
	cmd.Flags().StringVarP(&f.format, "for", "f", "", "Format")
	cmd.Flags().StringVarP(&f.user, "user", "u", "", "User name of a login; its secret is read from standard input")
	cmd.Flags().StringVar(&f.certificates, "certificates", "", "File with the gateway's certificates")
	cmd.Flags().StringVar(&f.jwks, "jwks", "", "File with the gateway's key set")
	return cmd
}

func (f *exportFlags) run(cmd *cobra.Command) error {
	format, err := export.Find(f.format)
	if err != nil {
		return fmt.Errorf("--for: %w", err)
	}
	if f.user != "" && f.config == "-" {
		return errors.New("standard input has the secret of --user: name the configuration's file")
	}
	loaded, err := f.load(cmd.InOrStdin())
	if err != nil {
		return err
	}
	in, err := exportInput(loaded.config)
	if err != nil {
		return fmt.Errorf("%s: %w", f.config, err)
	}
	if format.Keys {
		if in.Certificates, err = keysFrom(cmd.Context(), f.certificates, in.CertificatesURL); err != nil {
			return err
		}
		if in.JWKS, err = keysFrom(cmd.Context(), f.jwks, in.JWKSURL); err != nil {
			return err
		}
	}
	if f.user != "" {
		in.Username = f.user
		if in.Secret, err = readSecret(cmd.InOrStdin()); err != nil {
			return err
		}
	} else if format.Login {
		return fmt.Errorf("%s: --user is missing", format.Name)
	}
	body, _, err := export.Render(f.format, in)
	if err != nil {
		return err
	}
	_, err = cmd.OutOrStdout().Write(body)
	return err
}

// exportInput is what the gateway of a realm says of itself, as far as its
// configuration tells.
func exportInput(config *caddyfile.Config) (export.Input, error) {
	names, err := config.Names()
	if err != nil {
		return export.Input{}, err
	}
	if names.PublicURL == "" {
		return export.Input{}, errors.New("public_url is missing: without it the gateway's name is that of each request")
	}
	base, err := url.Parse(names.PublicURL)
	if err != nil {
		return export.Input{}, err
	}
	return names.Installation(base), nil
}

const (
	// maxKeys bounds what is read as keys, in bytes.
	maxKeys     = 1 << 20
	keysTimeout = 10 * time.Second
)

// keysFrom reads a file, if one is named, else what the gateway publishes.
func keysFrom(ctx context.Context, file, published string) ([]byte, error) {
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading the gateway's keys: %w", err)
		}
		return data, nil
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, published, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetching the gateway's keys: %w: is it running? Files are named with --certificates and --jwks", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching the gateway's keys: %s answers %s", published, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, maxKeys))
}
