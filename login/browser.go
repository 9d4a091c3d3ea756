package login

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
)

// OpenBrowser opens an address in the browser, if there is one to be seen.
func OpenBrowser(address string) error {
	program, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		program = "open"
	case "windows":
		program, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	default:
		if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" && os.Getenv("BROWSER") == "" {
			return errors.New("there is no display")
		}
	}
	cmd := exec.Command(program, args...) //nolint:gosec,noctx // checked by isWeb; the browser outlives us
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }()
	return nil
}
