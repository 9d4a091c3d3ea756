// Package loopback says which hosts are this machine: nobody stands between,
// so that http may be used there where it must not be used elsewhere.
package loopback

import (
	"net/netip"
	"strings"
)

// Is reports whether a host of a URL is this machine.
func Is(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && a.Unmap().IsLoopback()
}
