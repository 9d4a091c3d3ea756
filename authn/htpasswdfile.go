package authn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

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
// meanwhile.
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
