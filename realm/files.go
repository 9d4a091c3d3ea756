package realm

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/gateway"
)

// filesEvery is how often the files are looked at that a configuration names.
const filesEvery = 2 * time.Second

// namedFile finds what can be a file in a configuration: a placeholder for its
// content, or a string that begins with a slash.
var namedFile = regexp.MustCompile(`\{file\.([^}"\\]+)\}|"(/(?:[^"\\]|\\.)*)"`)

// files are the files that the configuration of a realm names. Caddy says
// "config is unchanged" and does nothing if only they have changed.
type files struct {
	known     map[string]os.FileInfo // nil: not there
	verifiers *gateway.Verifiers
	keys      []string // of the verifiers, which are read again
	log       *zap.Logger
}

// newFiles looks at all files that a configuration names as it is now, but for
// those that authenticators read again by themselves.
func newFiles(config []byte, members []authn.Member, verifiers *gateway.Verifiers, log *zap.Logger) *files {
	f := &files{known: map[string]os.FileInfo{}, verifiers: verifiers, keys: verifiers.Files(), log: log}
	for _, name := range f.keys {
		f.known[name] = stat(name)
	}
	for _, match := range namedFile.FindAllSubmatch(config, -1) {
		name := string(match[1])
		if name == "" {
			if text, err := strconv.Unquote(`"` + string(match[2]) + `"`); err == nil {
				name = text
			}
		}
		if info := stat(name); info != nil && filepath.IsAbs(name) {
			f.known[name] = info
		}
	}
	for _, m := range members {
		for _, name := range m.Rereads {
			delete(f.known, name)
		}
	}
	return f
}

// stat returns nil for what is no file.
func stat(name string) os.FileInfo {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return info
}

// watch looks at the files until ctx is done.
func (f *files) watch(ctx context.Context) {
	if len(f.known) == 0 {
		return
	}
	tick := time.NewTicker(filesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.look()
		}
	}
}

func (f *files) look() {
	reread := false
	for _, name := range slices.Sorted(maps.Keys(f.known)) {
		was, now := f.known[name], stat(name)
		if unchanged(was, now) {
			continue
		}
		f.known[name] = now
		if slices.Contains(f.keys, name) {
			reread = true
			continue
		}
		f.log.Warn("a file that the configuration names has changed, and what it had is still in use: `caddy reload --force` reads it again", zap.String("file", name))
	}
	if !reread {
		return
	}
	if err := f.verifiers.Reread(); err != nil {
		f.log.Error("public keys cannot be read again: signatures of the others count", zap.Error(err))
		return
	}
	f.log.Info("read the public keys for signatures again")
}

func unchanged(was, now os.FileInfo) bool {
	if was == nil || now == nil {
		return was == nil && now == nil
	}
	return os.SameFile(was, now) && was.ModTime().Equal(now.ModTime()) && was.Size() == now.Size()
}
