package authn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// staticKeys returns what stands in for an issuer that cannot be reached, nil
// if it is to be asked itself.
func (c WorkloadConfig) staticKeys(now func() time.Time) func(context.Context) (*providerKeys, error) {
	if now == nil {
		now = time.Now
	}
	switch {
	case c.JWKS != nil:
		return func(context.Context) (*providerKeys, error) { return parseJWKS(c.JWKS, now()) }
	case c.JWKSFile != "":
		return func(context.Context) (*providerKeys, error) { return readKeys(c.JWKSFile, now()) }
	}
	return nil
}

// readKeys reads a key set of bounded size from a file.
func readKeys(path string, now time.Time) (*providerKeys, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("jwks_file: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.New("jwks_file: not a regular file")
	}
	body, err := io.ReadAll(io.LimitReader(f, providerBody+1))
	if err != nil {
		return nil, fmt.Errorf("jwks_file: %w", err)
	}
	if len(body) > providerBody {
		return nil, fmt.Errorf("jwks_file: longer than %d bytes", providerBody)
	}
	keys, err := parseJWKS(body, now)
	if err != nil {
		return nil, fmt.Errorf("jwks_file: %w", err)
	}
	return keys, nil
}
