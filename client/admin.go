package client

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
)

// adminAddress is where an administration endpoint listens.
type adminAddress struct {
	network, target string
	host            string // what stands in URLs
}

// defaultAdminPort is Caddy's.
const defaultAdminPort = "2019"

// parseAdmin reads a network address as Caddy spells it: "localhost:2019",
// "tcp/localhost:2019", "unix//run/caddy/admin.sock|0200".
func parseAdmin(text string) (adminAddress, error) {
	network, target, named := strings.Cut(text, "/")
	if !named {
		network, target = "tcp", text
	}
	switch network {
	case "unix", "unix+h2c":
		path, _, _ := strings.Cut(target, "|") // Caddy's mode of the file
		if path == "" {
			return adminAddress{}, fmt.Errorf("%w %q: the path of the socket is missing", ErrAddress, text)
		}
		// Caddy wants this host, whoever asks.
		return adminAddress{"unix", path, "127.0.0.1"}, nil
	case "tcp", "tcp4", "tcp6":
	case "fd", "fdgram":
		return adminAddress{}, fmt.Errorf("%w %q: another process cannot reach that", ErrAddress, text)
	default:
		return adminAddress{}, fmt.Errorf("%w %q: want https://host of a gateway, or host:port or unix//path of Caddy's administration endpoint", ErrAddress, text)
	}
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		host, port = strings.Trim(target, "[]"), defaultAdminPort
	}
	if strings.ContainsAny(host, "/ ") || text == "" || host == "off" {
		return adminAddress{}, fmt.Errorf("%w %q: want host:port of Caddy's administration endpoint", ErrAddress, text)
	}
	joined := net.JoinHostPort(cmp.Or(host, "localhost"), port)
	return adminAddress{network, joined, joined}, nil
}

// realmList is what an administration endpoint says of its realms.
type realmList struct {
	Realms []string `json:"realms"`
}

// root is below which URL the API is: on an administration endpoint, it asks
// for the realm's name first if that is not known.
func (c *Client) root(ctx context.Context) (string, error) {
	if !c.local {
		return c.base, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.realm == "" {
		var list realmList
		if err := c.send(ctx, http.MethodGet, c.base+LocalPrefix, nil, nil, &list); err != nil {
			return "", err
		}
		if len(list.Realms) != 1 {
			slices.Sort(list.Realms)
			return "", &RealmError{Realms: list.Realms}
		}
		c.realm = list.Realms[0]
	}
	return c.base + LocalPrefix + strings.TrimPrefix(Path(c.realm), "/"), nil
}

// RealmError says that it has to be said which realm is meant.
type RealmError struct {
	// Realms lists the realms.
	Realms []string
}

func (e *RealmError) Error() string {
	if len(e.Realms) == 0 {
		return "this Caddy has no registry_auth"
	}
	return "there are several realms: say which one of " + strings.Join(e.Realms, ", ")
}

// VerifyStore has the gateway behind an administration endpoint look at all that
// its store has, and reads what it found into out.
func (c *Client) VerifyStore(ctx context.Context, out any) error {
	if !c.local {
		return errNotLocal
	}
	return c.send(ctx, http.MethodGet, c.base+StorePrefix+"verify", nil, nil, out)
}

// BackupStore returns a copy of the store of the gateway behind an administration
// endpoint, as it is at one moment. The caller closes it.
func (c *Client) BackupStore(ctx context.Context) (io.ReadCloser, error) {
	if !c.local {
		return nil, errNotLocal
	}
	answer, err := c.open(ctx, http.MethodGet, c.base+StorePrefix+"backup", nil, nil)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

var errNotLocal = fmt.Errorf("%w: a store is looked at by way of Caddy's administration endpoint, on the gateway's own machine", ErrAddress)
