package management

import "net/url"

// flagOf reads a parameter that is true or false; absent is false.
func flagOf(q url.Values, name string) (bool, error) {
	switch q.Get(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, invalid(name, "want true or false")
}
