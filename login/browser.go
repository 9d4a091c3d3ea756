package login

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
)

// OpenBrowser opens an address in the browser, if there is one to be seen.
func OpenBrowser(address string) error {
	var cmd *exec.Cmd
	switch runtime.GOOS {
	case "darwin":
		cmd = exec.Command("open", address) //nolint:gosec // no shell, and the address is a URL
	case "windows":
		cmd = exec.Command("rundll32", "url.dll,FileProtocolHandler", address) //nolint:gosec // no shell, and the address is a URL
	default:
		if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" && os.Getenv("BROWSER") == "" {
			return errors.New("there is no display")
		}
		program, err := exec.LookPath("xdg-open")
		if err != nil {
			return err
		}
		cmd = exec.Command(program, address) //nolint:gosec // no shell, and the address is a URL
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }()
	return nil
}
