package clients

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// documented is the n-th block of a language below a heading of a page.
func documented(t *testing.T, page, heading, language string, n int) string {
	t.Helper()
	lines := strings.Split(string(mustRead(t, filepath.Join("..", "..", "docs", page))), "\n")
	for i := slices.Index(lines, heading) + 1; i > 0 && i < len(lines) && !strings.HasPrefix(lines[i], "#"); i++ {
		kind, opens := strings.CutPrefix(lines[i], "```")
		if !opens {
			continue
		}
		length := slices.Index(lines[i+1:], "```")
		if kind == language {
			n--
		}
		if kind == language && n == 0 {
			return strings.Join(lines[i+1:i+1+length], "\n") + "\n"
		}
		i += 1 + length
	}
	t.Fatalf("docs/%s: no such block of %s below %q", page, language, heading)
	return ""
}
