// Package cluster shows what gateways do with their store: several on one
// PostgreSQL, one that is killed, reloaded or runs out of disk, and the way of
// a script from nothing to a robot that pulls.
package cluster
