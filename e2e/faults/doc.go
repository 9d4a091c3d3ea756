// Package faults breaks, one after the other, everything that a gateway leans
// on, while people and machines go on working with it: the identity provider,
// the database, the state file, the gateway's own process, the registry behind
// it, and the peace. It prints what each fault did to them as a table;
// docs/reliability.md has the figures of a run.
package faults
