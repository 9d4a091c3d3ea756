package registryauth_test

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// markdownLink is a link to a page of ours, with its fragment.
var markdownLink = regexp.MustCompile(`\]\(([^):#]*)(#[^)]*)?\)`)

// TestDocsLinks wants every relative link of the pages to lead to a file, and
// every fragment to a heading.
func TestDocsLinks(t *testing.T) {
	pages := docsPages(t)
	links := 0
	for file, lines := range pages {
		for i, line := range lines {
			for _, link := range markdownLink.FindAllStringSubmatch(line, -1) {
				links++
				target := file
				if link[1] != "" {
					target = path.Join(path.Dir(file), link[1])
				}
				if _, err := os.Stat(target); err != nil {
					t.Errorf("%s:%d: no %s", file, i+1, target)
					continue
				}
				if link[2] != "" && !hasHeading(pages[target], link[2][1:]) {
					t.Errorf("%s:%d: no heading %s in %s", file, i+1, link[2], target)
				}
			}
		}
	}
	if links < 50 {
		t.Errorf("found %d links only", links)
	}
}

// notInFragment are the characters that a heading's fragment does not have.
var notInFragment = regexp.MustCompile(`[^a-z0-9 _-]`)

func hasHeading(lines []string, fragment string) bool {
	code := false
	for _, line := range lines {
		if strings.HasPrefix(line, "```") {
			code = !code
		}
		title := strings.TrimLeft(line, "#")
		if code || title == line {
			continue
		}
		slug := notInFragment.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
		if strings.ReplaceAll(slug, " ", "-") == fragment {
			return true
		}
	}
	return false
}
