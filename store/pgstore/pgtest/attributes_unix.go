//go:build unix && !linux

package pgtest

import "syscall"

// attributes let the server run as somebody.
func attributes(as *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: as, Setpgid: true}
}
