package cli

import (
	"errors"
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
)

// The exit statuses of the commands.
const (
	StatusOK          = 0
	StatusRefused     = 1 // not found, not allowed, taken, not valid …
	StatusUsage       = 2 // the command line or a file is wrong; nothing was asked
	StatusUnreachable = 3 // no answer, or the store is away: try again
	StatusDiffers     = 4 // import --dry-run --exit-code: something would change
)

// errDiffers ends a dry run that has printed the differences.
var errDiffers = errors.New("there are differences")

// Status returns the exit status that an error of a command stands for.
func Status(err error) int {
	var refused *client.Error
	var unreachable *client.UnreachableError
	var lookup *lookupError
	switch {
	case err == nil:
		return StatusOK
	case errors.Is(err, errDiffers):
		return StatusDiffers
	case errors.As(err, &unreachable):
		return StatusUnreachable
	case errors.As(err, &refused):
		if refused.Status == http.StatusServiceUnavailable || refused.Status == http.StatusTooManyRequests {
			return StatusUnreachable
		}
		return StatusRefused
	case errors.As(err, &lookup):
		return StatusRefused
	}
	return StatusUsage
}

// Silent reports whether an error needs no message: all was printed.
func Silent(err error) bool { return errors.Is(err, errDiffers) }
