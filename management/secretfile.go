package management

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// maxSecretFile is how large a file with a secret may be, in bytes.
const maxSecretFile = 4 << 10

// readSecretFile returns the secret that a file holds, without the line's end. A
// file that somebody else could have written holds no secret.
// [fs.ErrNotExist]: there is no such file.
func readSecretFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := onlyOurs(f); err != nil {
		return "", err
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(raw))
	switch {
	case len(raw) > maxSecretFile:
		return "", fmt.Errorf("%s: larger than %d bytes", path, maxSecretFile)
	case secret == "":
		return "", fmt.Errorf("%s: is empty", path)
	}
	return secret, nil
}

// writeSecretFile writes a secret where nobody else can read it, and so that
// it is there after a crash. It never replaces a file: [fs.ErrExist].
func writeSecretFile(path, secret string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(secret + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return syncDirectory(filepath.Dir(path))
}

// syncDirectory makes what was created or removed in a directory last.
func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	// Some file systems cannot do this for directories.
	_ = d.Sync()
	return nil
}

// errNotOurs: others could have written a file.
var errNotOurs = errors.New("others could have written it")

// onlyOurs returns an error unless a file can only have been written by the
// user that the gateway runs as, or by the superuser.
func onlyOurs(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	const othersWrite = 0o022
	owner, known := ownerOf(info)
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: %w: it is no regular file", f.Name(), errNotOurs)
	case known && owner != 0 && owner != os.Geteuid():
		return fmt.Errorf("%s: %w: it belongs to user id %d, and the gateway runs as %d", f.Name(), errNotOurs, owner, os.Geteuid())
	case known && info.Mode().Perm()&othersWrite != 0:
		return fmt.Errorf("%s: %w: its mode is %#o, want no write permission for group and others, such as 0600", f.Name(), errNotOurs, info.Mode().Perm())
	}
	return nil
}

// ownerOf returns the id of the user whose file it is, where files have one: on
// Unix, Sys is a *syscall.Stat_t.
func ownerOf(info fs.FileInfo) (int, bool) {
	stat := reflect.Indirect(reflect.ValueOf(info.Sys()))
	if stat.Kind() != reflect.Struct {
		return 0, false
	}
	uid := stat.FieldByName("Uid")
	if !uid.IsValid() || !uid.CanUint() {
		return 0, false
	}
	return int(uid.Uint()), true
}

// removeFile removes a file, if it is there.
func removeFile(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
