package tokenendpoint

import (
	"cmp"
	"fmt"
	"time"
)

// Defaults and bounds of refresh tokens.
const (
	DefaultRefreshTokenLifetime = 90 * 24 * time.Hour
	DefaultRefreshTokenIdle     = 30 * 24 * time.Hour

	maxRefreshTokenLifetime = 366 * 24 * time.Hour
)

// The values of [Config.RefreshTokens], [Config.RefreshTokenRotation] and
// [Config.RefreshTokenClient].
const (
	On         = "on"
	Off        = "off"
	AnyClient  = "any"
	SameClient = "same"
)

// HasRefreshTokens reports whether clients may keep a refresh token.
func (c *Config) HasRefreshTokens() bool { return c.RefreshTokens == On }

// RefreshLifetime is how long a refresh token lasts at the longest.
func (c *Config) RefreshLifetime() time.Duration {
	return cmp.Or(time.Duration(c.RefreshTokenLifetime), DefaultRefreshTokenLifetime)
}

// RefreshIdle is how long a refresh token may rest, zero for as long as it
// lasts.
func (c *Config) RefreshIdle() time.Duration {
	if c.RefreshTokenIdle == 0 {
		return min(DefaultRefreshTokenIdle, c.RefreshLifetime())
	}
	return max(0, time.Duration(c.RefreshTokenIdle))
}

func (c *Config) checkRefreshTokens() error {
	for name, value := range map[string]string{"refresh_tokens": c.RefreshTokens, "refresh_token_rotation": c.RefreshTokenRotation} {
		if value != "" && value != On && value != Off {
			return fmt.Errorf("%s %.20q: want on or off", name, value)
		}
	}
	if v := c.RefreshTokenClient; v != "" && v != AnyClient && v != SameClient {
		return fmt.Errorf("refresh_token_client %.20q: want any or same", v)
	}
	if l := c.RefreshLifetime(); l < time.Minute || l > maxRefreshTokenLifetime {
		return fmt.Errorf("refresh_token_lifetime %s: want 1m to 366d", l)
	}
	if i := c.RefreshIdle(); i != 0 && i < time.Minute {
		return fmt.Errorf("refresh_token_idle %s: want at least 1m", i)
	}
	return nil
}
