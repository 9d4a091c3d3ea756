package freeport_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/freeport"
)

// TestTake: nobody gets a port twice, in this process or in another that asks
// at the same time.
func TestTake(t *testing.T) {
	const many = 1000
	if os.Getenv("TAKE_PORTS") != "" {
		for range many {
			port, err := freeport.Take()
			if err != nil {
				t.Fatal(err)
			}
			fmt.Println(port)
		}
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the other has taken its own
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("there are no reservations here")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	taken, asking := map[string]int{}, 3
	outs := make([]*bufio.Scanner, asking)
	for i := range outs {
		cmd := exec.CommandContext(t.Context(), program, "-test.run", "^TestTake$")
		cmd.Env = append(os.Environ(), "TAKE_PORTS=1")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		outs[i] = bufio.NewScanner(out)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			in.Close()
			_ = cmd.Wait() // which only ends what has told all
		})
	}
	for _, out := range outs {
		for range many {
			if !out.Scan() {
				t.Fatal("it ended early")
			}
			taken[out.Text()]++
		}
	}
	if len(taken) != asking*many {
		t.Errorf("%d ports for %d calls", len(taken), asking*many)
	}
}
