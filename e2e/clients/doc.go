// Package clients has no code of its own: its tests drive real registry
// clients against the gateway in front of real registries.
package clients
