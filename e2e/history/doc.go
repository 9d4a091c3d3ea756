// Package history lets many clients change things at random on gateways that are
// killed, paused and cut off from their database, and holds what comes of it to
// what was acknowledged: every change that was answered is there, no update is
// lost, and nothing that was ended is alive again.
//
// A few seconds are part of every run of the tests. For longer:
//
//	go test -count=1 -v -timeout 1h ./e2e/history -for 10m
package history
