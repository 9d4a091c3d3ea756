// Package trust holds the gateway to its one promise: each test plays an
// attack that once succeeded, from outside and against a running gateway, and
// passes only while it is refused. docs/security.md names the test that holds
// each promise.
package trust
