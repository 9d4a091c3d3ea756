package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// RSS returns the gateway's resident memory in bytes.
func (g *Gateway) RSS() (int64, error) { return g.status("VmRSS:") }

// Peak returns the most resident memory in bytes that the gateway has had
// since it started or since [Gateway.ForgetPeak].
func (g *Gateway) Peak() (int64, error) { return g.status("VmHWM:") }

// ForgetPeak lets [Gateway.Peak] begin again.
func (g *Gateway) ForgetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", g.process.Pid()), []byte("5"), 0)
}

func (g *Gateway) status(name string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.process.Pid()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == name {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in the status of process %d", name, g.process.Pid())
}

// Heap makes the gateway collect its garbage and returns how many bytes are
// left: what it remembers.
func (g *Gateway) Heap(ctx context.Context) (int64, error) {
	text, err := g.profile(ctx, "heap?gc=1&debug=1")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "# HeapAlloc = "); ok {
			return strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		}
	}
	return 0, fmt.Errorf("no HeapAlloc in the profile: %.300s", text)
}

// profile fetches one of the profiles of Caddy's admin endpoint.
func (g *Gateway) profile(ctx context.Context, path string) (string, error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", g.adminSocket())
		},
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/debug/pprof/"+path, nil)
	if err != nil {
		return "", err
	}
	res, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s %.300s: %w", path, res.Status, body, err)
	}
	return string(body), nil
}

// CPU returns the processor time that the gateway has used.
func (g *Gateway) CPU() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.process.Pid()))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("the stat of process %d is %q", g.process.Pid(), stat)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * (time.Second / 100), err // in ticks of a hundredth, everywhere
}
