// Package browser drives the gateway's pages with a real browser, signing in
// at a real identity provider.
package browser
