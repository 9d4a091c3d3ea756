package cluster

import (
	"encoding/base64"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
)

// secretOf is the password in a Basic header.
func secretOf(t *testing.T, authorization string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(authorization, "Basic "))
	if err != nil {
		t.Fatal(err)
	}
	_, secret, _ := strings.Cut(string(raw), ":")
	return secret
}

var homes sync.Map // folder by the test's name

// home is a folder for the clients' credentials, one for each test.
func home(t *testing.T) string {
	t.Helper()
	if dir, ok := homes.Load(t.Name()); ok {
		return dir.(string)
	}
	dir := t.TempDir()
	homes.Store(t.Name(), dir)
	return dir
}

// logged matches log entries by their message.
func logged(message string) func(gateway.Entry) bool {
	return func(e gateway.Entry) bool { return e["msg"] == message }
}

// metric returns the value of the first metric whose line begins like that.
func (n *node) metric(t *testing.T, name string) float64 {
	t.Helper()
	text := n.send(t.Context(), "GET", "/metrics", "", "").body
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, name) {
			continue
		}
		fields := strings.Fields(line)
		value, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return value
	}
	t.Errorf("there is no metric %s", name)
	return -1
}
