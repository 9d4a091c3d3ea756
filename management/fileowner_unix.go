//go:build unix

package management

import (
	"io/fs"
	"syscall"
)

// ownerOf returns the id of the user whose file it is.
func ownerOf(info fs.FileInfo) (int, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}
