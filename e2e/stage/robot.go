package stage

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"hash/crc32"
	"strings"
)

// Robot is a robot with its secret and what the Caddyfile says of it.
type Robot struct {
	// Name is its name; it logs in as robot$NAME, robot-NAME or NAME.
	Name string
	// Secret is its password, Stored what the gateway is given of it.
	Secret, Stored string
}

// LongPassword is the password of the robot longpw: 72 bytes, where bcrypt
// stops to read. longPasswordHash is its bcrypt hash.
const (
	LongPassword     = "Seventy-two bytes are all that bcrypt reads, so this one is exactly 72.."
	longPasswordHash = "$2a$10$Yg72T1/I4y0DPXcgLdQ7N.yBzSxv6XFvk0CgDpn5wDfNAhDW57ide"
)

var robotNames = []string{"ci", "reader", "janitor", "exp", "dis", "dev"}

func newRobots() map[string]*Robot {
	robots := map[string]*Robot{
		"longpw": {Name: "longpw", Secret: LongPassword, Stored: longPasswordHash},
	}
	for _, name := range robotNames {
		secret, stored := NewSecret()
		robots[name] = &Robot{Name: name, Secret: secret, Stored: stored}
	}
	return robots
}

// NewSecret makes a robot secret of the documented form
// <prefix>_<id>_<random>_<checksum> and its stored form. Written from the
// documentation and not with the gateway's own function: a change of the
// format that would lock out secrets already handed out fails the tests.
func NewSecret() (secret, stored string) {
	const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	id := strings.ToLower(rand.Text()[:12])
	random := rand.Text() + rand.Text()
	body := "craro_" + id + "_" + random[:43]
	sum := crc32.ChecksumIEEE([]byte(body))
	check := make([]byte, 6)
	for i := len(check) - 1; i >= 0; i-- {
		check[i] = base62[sum%62]
		sum /= 62
	}
	secret = body + "_" + string(check)
	hash := sha256.Sum256([]byte(secret))
	return secret, "sha256:" + id + ":" + base64.RawURLEncoding.EncodeToString(hash[:])
}
