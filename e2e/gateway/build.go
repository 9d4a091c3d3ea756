// Package gateway runs the gateway as its users do: the built program, a
// Caddyfile, a process of its own.
package gateway

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// Build compiles cmd/caddy, once in a process, and returns the program's path.
// It is kept between runs, so that an unchanged program is linked once;
// concurrent test packages wait for each other. Tests run with -race get a
// program built with -race. GATEWAY_BINARY names a ready program to use
// instead.
var Build = sync.OnceValues(build)

func build() (string, error) {
	if ready := os.Getenv("GATEWAY_BINARY"); ready != "" {
		return ready, nil
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("registry-auth-e2e-%d", os.Getuid()))
	program := filepath.Join(dir, "caddy")
	args := []string{"build"}
	if Race {
		args = append(args, "-race")
		program += "-race"
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("build the gateway: %w", err)
	}
	lock, err := os.OpenFile(program+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("build the gateway: %w", err)
	}
	defer lock.Close() // which releases it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("build the gateway: %w", err)
	}
	cmd := exec.Command("go", append(args, "-o", program, "./cmd/caddy")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the gateway: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return program, nil
}

// moduleRoot is the repository's top directory.
func moduleRoot() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "", fmt.Errorf("cannot tell where the gateway's source lies")
	}
	return filepath.Dir(filepath.Dir(filepath.Dir(file))), nil
}
