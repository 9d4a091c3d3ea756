// Package process runs the programs that the end-to-end tests need (registry,
// identity provider, gateway, container engines): on free loopback ports, with
// their output in a file, and stopped by process id.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Process is a program under way.
type Process struct {
	// Name is what error messages call it.
	Name string
	// LogFile holds its standard output and error.
	LogFile string

	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start runs cmd with its output going to logFile, unless cmd already has a
// destination for it, and as the user that cmd names, if any. The program is killed when the calling process dies, so
// that an aborted test run leaves nothing behind.
func Start(name string, cmd *exec.Cmd, logFile string) (*Process, error) {
	if err := os.MkdirAll(filepath.Dir(logFile), 0o755); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	out, err := os.Create(logFile)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer out.Close()
	if cmd.Stdout == nil {
		cmd.Stdout = out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = out
	}
	attributes := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if cmd.SysProcAttr != nil {
		attributes.Credential = cmd.SysProcAttr.Credential
	}
	cmd.SysProcAttr = attributes
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{Name: name, LogFile: logFile, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Pid returns the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Stop asks the program to end and kills it if it has not after ten seconds.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.done:
		return nil
	case <-time.After(10 * time.Second):
	}
	p.Kill()
	return fmt.Errorf("%s did not stop within 10 s and was killed", p.Name)
}

// Kill ends the program without asking, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.done
}

// Ended is closed when the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.done }

// Ready polls check until it returns nil. It fails when the program ends
// first, or when ctx does; the error then carries the end of the log.
func (p *Process) Ready(ctx context.Context, check func(context.Context) error) error {
	var last error
	for {
		if last = check(ctx); last == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready: %w\n%s", p.Name, errors.Join(p.err, last), p.LogTail(30))
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", p.Name, last, p.LogTail(30))
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// LogTail returns the last n lines of the log.
func (p *Process) LogTail(n int) string {
	b, err := os.ReadFile(p.LogFile)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
