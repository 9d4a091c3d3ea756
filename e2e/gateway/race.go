//go:build race

package gateway

// Race reports whether the race detector is on, in the tests and therefore in
// the gateway. Everything is several times slower and larger then.
const Race = true
