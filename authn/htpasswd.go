package authn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// HtpasswdConfig declares the users of an htpasswd file.
type HtpasswdConfig struct {
	// The absolute path of a file as `htpasswd -B` makes it. Placeholders are
	// resolved at start. It is read again when it changes.
	File string `json:"file"`

	// The absolute path of a file with the groups of the users, in the form
	// of Apache's AuthGroupFile: `group: user user`. Default: no groups.
	GroupsFile string `json:"groups_file,omitempty"`

	// What the names of these users and groups start with in policies, so
	// that they cannot be taken for those of another authenticator. Users
	// log in without it. Default: nothing.
	Prefix string `json:"prefix,omitempty"`

	// If true, MD5 (`$apr1$`) and SHA-1 (`{SHA}`) hashes are accepted, which
	// whoever gets hold of the file soon has the passwords of.
	InsecureLegacyHashes bool `json:"insecure_legacy_hashes,omitempty"`
}

// Validate returns what is wrong with the declaration, naming the field.
func (c HtpasswdConfig) Validate() error {
	switch {
	case !filepath.IsAbs(c.File):
		return fmt.Errorf("htpasswd: file %.200q is not an absolute path", c.File)
	case c.GroupsFile != "" && !filepath.IsAbs(c.GroupsFile):
		return fmt.Errorf("htpasswd: groups %.200q is not an absolute path", c.GroupsFile)
	}
	if err := checkUserName(c.Prefix); err != nil {
		return fmt.Errorf("htpasswd: prefix %.64q %w", c.Prefix, err)
	}
	return nil
}

// htpasswdName is how a realm calls the authenticator: registry tokens carry
// it, so it does not tell where the file is.
func htpasswdName(prefix string) string {
	if prefix == "" {
		return "htpasswd"
	}
	return "htpasswd:" + prefix
}

const (
	htpasswdPoll = 400 * time.Millisecond
	// htpasswdSettle is how long a file must look the same before it is
	// read: the htpasswd program empties it and then writes.
	htpasswdSettle = 200 * time.Millisecond
	// htpasswdRetry is how soon files that could not be used are read again
	// although they look the same: their permissions may have changed.
	htpasswdRetry = 5 * time.Second
)

// Htpasswd authenticates people by passwords whose hashes are in a file. The
// file is looked at again and again, and read when it has changed; one that
// cannot be used is reported and the users are those of before. It is safe for
// concurrent use.
type Htpasswd struct {
	config HtpasswdConfig
	match  *passwordMatcher
	// reloaded is told of each change of the files, once.
	reloaded func(users int, err error)
	table    atomic.Pointer[passwordTable]

	left atomic.Pointer[leavers]

	mu        sync.Mutex
	read      [2]passwordFile // when the table was made, or could not be
	seen      [2]passwordFile // since seenSince
	seenSince time.Time
	failure   string // why the files of now are not in force
	failed    time.Time
}

// HtpasswdOptions are what an [Htpasswd] needs of the program that it runs in.
// The zero value is of use.
type HtpasswdOptions struct {
	// Pool and Cache may be shared. Nil: ones of its own.
	Pool  *HashPool
	Cache *VerifiedCache
	// Reloaded is called when the files have changed, with the number of
	// users, or why the files cannot be used. Nil: nobody wants to know.
	Reloaded func(users int, err error)
}

// NewHtpasswd reads the files and makes the authenticator. What is wrong with
// a file is an error with file and line.
func NewHtpasswd(c HtpasswdConfig, o HtpasswdOptions) (*Htpasswd, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	h := &Htpasswd{config: c, match: newPasswordMatcher(o.Pool, o.Cache), reloaded: o.Reloaded}
	if h.reloaded == nil {
		h.reloaded = func(int, error) {}
	}
	h.read = h.look()
	h.seen = h.read
	if err := h.load(); err != nil {
		return nil, err
	}
	return h, nil
}

// Start looks at the files several times a second until ctx ends. It returns
// at once.
func (h *Htpasswd) Start(ctx context.Context) {
	go func() {
		ticker := time.NewTicker(htpasswdPoll)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				h.poll(time.Now())
			}
		}
	}()
}

// poll reads the files if they have changed and have come to rest.
func (h *Htpasswd) poll(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	files := h.look()
	changed := !sameFiles(files, h.read)
	switch {
	case !sameFiles(files, h.seen):
		h.seen, h.seenSince = files, now
		return
	case changed && now.Sub(h.seenSince) < htpasswdSettle:
		return
	case !changed && (h.failure == "" || now.Sub(h.failed) < htpasswdRetry):
		return
	}
	h.read = files
	err, failure := h.load(), ""
	if err != nil {
		failure, h.failed = err.Error(), now
	}
	if changed || failure != h.failure {
		h.reloaded(len(h.table.Load().users), err)
	}
	h.failure = failure
}

// load reads the files and puts their users in force.
func (h *Htpasswd) load() error {
	users, err := readPasswordFile(h.config.File)
	if err != nil {
		return fmt.Errorf("htpasswd: %w", err)
	}
	var groups map[string][]string
	if h.config.GroupsFile != "" {
		file, err := readPasswordFile(h.config.GroupsFile)
		if err == nil {
			groups, err = parseGroups(file)
		}
		if err != nil {
			return fmt.Errorf("htpasswd: groups: %w", err)
		}
	}
	table, err := parseHtpasswd(users, groups, h.config.Prefix, h.config.InsecureLegacyHashes)
	if err != nil {
		return fmt.Errorf("htpasswd: %w", err)
	}
	h.follow(h.table.Load(), table) // a user who comes back is not the one who left
	h.table.Store(table)
	return nil
}

func (h *Htpasswd) look() (files [2]passwordFile) {
	files[0] = lookAt(h.config.File)
	if h.config.GroupsFile != "" {
		files[1] = lookAt(h.config.GroupsFile)
	}
	return files
}

func sameFiles(a, b [2]passwordFile) bool { return a[0].same(b[0]) && a[1].same(b[1]) }

// Name is how a realm calls this authenticator.
func (h *Htpasswd) Name() string { return htpasswdName(h.config.Prefix) }

// Facts implements [Described].
func (h *Htpasswd) Facts() Facts {
	return Facts{Name: h.Name(), Prefix: h.config.Prefix, People: true, Passwords: true, Rereads: configured(h.config.File, h.config.GroupsFile)}
}

// Authenticate implements [Authenticator]. It owns passwords, by Basic, of
// users who are in the file.
func (h *Htpasswd) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	return h.table.Load().authenticate(ctx, h.match, c)
}

// Recheck implements [Rechecker]. What was issued to somebody who has left the
// file since belongs to another user of that name.
func (h *Htpasswd) Recheck(p *Principal, _ *Credential) error {
	if since := h.Missing(p); !p.Issued.IsZero() && p.Issued.Before(since) {
		return fmt.Errorf("%w: user %s was not in the file since", ErrGone, p.Name)
	}
	return h.table.Load().recheck(p)
}

// leavers are who has left a file since it was read first.
type leavers struct {
	since   time.Time            // when that was
	at      map[string]time.Time // by name in policies
	changes int
}

// follow records which users have left the file.
func (h *Htpasswd) follow(before, now *passwordTable) {
	if before == nil {
		h.left.Store(&leavers{since: time.Now()})
		return
	}
	next := *h.left.Load()
	next.at = maps.Clone(next.at)
	next.changes++
	for name := range before.users {
		if now.users[name] == nil {
			if next.at == nil {
				next.at = map[string]time.Time{}
			}
			next.at[now.prefix+name] = time.Now()
		}
	}
	h.left.Store(&next)
}

// Missing implements [Roster].
func (h *Htpasswd) Missing(p *Principal) time.Time {
	left := h.left.Load()
	if since, ok := left.at[p.Name]; ok || h.table.Load().has(p) {
		return since
	}
	return left.since
}

// Changes implements [Roster].
func (h *Htpasswd) Changes() int { return h.left.Load().changes }

// GroupsNow implements [GroupKeeper].
func (h *Htpasswd) GroupsNow(p *Principal) []string { return h.table.Load().groups(p) }

// Equalize implements [Equalizer].
func (h *Htpasswd) Equalize(ctx context.Context, c *Credential) error {
	return h.table.Load().equalize(ctx, h.match, c)
}

// EqualizeCost implements [Equalizer].
func (h *Htpasswd) EqualizeCost() float64 { return h.table.Load().cost }

// maxPasswordFile bounds a file of users or of groups, in bytes: that is about
// a hundred thousand users.
const maxPasswordFile = 8 << 20

// passwordFile is the content of a file and what the file looked like.
type passwordFile struct {
	path string
	info os.FileInfo // nil: could not be looked at
	text []byte
}

// lookAt returns the file without its content.
func lookAt(path string) passwordFile {
	info, err := os.Stat(path)
	if err != nil {
		info = nil
	}
	return passwordFile{path: path, info: info}
}

// same reports whether the file looks as it did before.
func (f passwordFile) same(before passwordFile) bool {
	if f.info == nil || before.info == nil {
		return f.info == nil && before.info == nil
	}
	return os.SameFile(f.info, before.info) && f.info.Size() == before.info.Size() && f.info.ModTime().Equal(before.info.ModTime())
}

// readPasswordFile reads a regular file of bounded size that nobody writes
// in the meantime.
func readPasswordFile(path string) (passwordFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return passwordFile{}, err
	}
	defer file.Close()
	f := passwordFile{path: path}
	if f.info, err = file.Stat(); err != nil {
		return f, err
	}
	if !f.info.Mode().IsRegular() {
		return f, fmt.Errorf("%s: not a regular file", path)
	}
	if f.text, err = io.ReadAll(io.LimitReader(file, maxPasswordFile+1)); err != nil {
		return f, err
	}
	switch {
	case len(f.text) > maxPasswordFile:
		return f, fmt.Errorf("%s: larger than %d bytes", path, maxPasswordFile)
	case !lookAt(path).same(f):
		return f, fmt.Errorf("%s: changed while it was read", path)
	}
	return f, nil
}

// lines calls do for each line with "name:rest" that is not a comment. Errors
// name file and line, and never what stands there.
func (f passwordFile) lines(do func(name, rest string) error) error {
	number := 0
	for line := range bytes.Lines(f.text) {
		number++
		text := strings.TrimRight(string(line), " \t\r\n")
		if text == "" || text[0] == '#' {
			continue
		}
		name, rest, ok := strings.Cut(text, ":")
		err := errors.New("no colon: want name:…")
		if ok {
			err = do(name, rest)
		}
		if !utf8.ValidString(text) {
			err = errors.New("not UTF-8")
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", f.path, number, err)
		}
	}
	return nil
}

// parseHtpasswd makes a table of the users of an htpasswd file.
func parseHtpasswd(users passwordFile, groups map[string][]string, prefix string, legacy bool) (*passwordTable, error) {
	t := newPasswordTable(htpasswdName(prefix), prefix)
	err := users.lines(func(name, stored string) error {
		h, err := parseHtpasswdHash(stored, legacy)
		if err != nil {
			return err
		}
		return t.add(name, passwordUser{hash: h}, groups[name])
	})
	return t, err
}

// parseHtpasswdHash reads what stands behind the colon.
func parseHtpasswdHash(stored string, legacy bool) (Hash, error) {
	isLegacy := strings.HasPrefix(stored, apr1Prefix) || strings.HasPrefix(stored, shaPrefix)
	switch {
	case strings.HasPrefix(stored, "$2a$"), strings.HasPrefix(stored, "$2b$"), strings.HasPrefix(stored, "$2y$"):
		return parseBcrypt(stored)
	case isLegacy && legacy:
		return parseLegacyHash(stored)
	case isLegacy:
		return nil, errors.New("an MD5 or SHA-1 hash, which is soon guessed: make it anew with \"htpasswd -B\", or set insecure_legacy_hashes")
	}
	return nil, errors.New("unknown form of hash: want bcrypt, as \"htpasswd -B\" makes it")
}

// parseGroups reads Apache's group file, "group: user user". A group may have
// several lines, and name users who are not there.
func parseGroups(f passwordFile) (map[string][]string, error) {
	groups := map[string][]string{}
	err := f.lines(func(group, users string) error {
		if err := checkUserName(group); err != nil || group == "" {
			return fmt.Errorf("%.64q is not a name for a group", group)
		}
		for _, user := range strings.Fields(users) {
			groups[user] = append(groups[user], group)
		}
		return nil
	})
	return groups, err
}
