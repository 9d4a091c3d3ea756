package authz

import "strings"

// isForm reports whether any of the Content-Type values announces a form.
//
// Distribution reads "mount" and "from" of a form in the body as it reads
// those in the query, where we look for them; so no form may pass. Servers
// differ in what they make of odd spelling and of several headers, hence
// the values are not parsed: a form is what anybody could take for one.
func isForm(contentTypes []string) bool {
	for _, value := range contentTypes {
		bare := strings.Map(func(r rune) rune {
			switch {
			case r <= ' ' || r > '~':
				return -1
			case 'A' <= r && r <= 'Z':
				return r + 'a' - 'A'
			}
			return r
		}, value)
		if strings.Contains(bare, "form-urlencoded") || strings.Contains(bare, "multipart/") {
			return true
		}
	}
	return false
}
