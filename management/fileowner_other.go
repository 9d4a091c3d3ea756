//go:build !unix

package management

import "io/fs"

// ownerOf does not know whose a file is where access is not said by its mode.
func ownerOf(fs.FileInfo) (int, bool) { return 0, false }
