package registryauth_test

import (
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// onlyListener waits until one socket listens on the address of a site. When
// Caddy has loaded a configuration, the server before it may still take a
// connection for a moment.
func onlyListener(t testing.TB, site string) {
	t.Helper()
	u, err := url.Parse(site)
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if listeners(u.Port()) <= 1 {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Errorf("the server before goes on listening on %s", site)
}

// listeners counts the sockets that listen on a port, as Linux tells; 0
// elsewhere.
func listeners(port string) (n int) {
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return 0
	}
	suffix := ":" + strings.ToUpper(strconv.FormatUint(0x10000|number, 16)[1:])
	for _, file := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		table, _ := os.ReadFile(file) // elsewhere there is none
		for line := range strings.Lines(string(table)) {
			// number, local address, remote address, state: 0A is listening
			if f := strings.Fields(line); len(f) > 3 && f[3] == "0A" && strings.HasSuffix(f[1], suffix) {
				n++
			}
		}
	}
	return n
}
