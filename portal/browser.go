package portal

import "strings"

// browserName guesses, from what a browser says of itself, how people call it.
// It is for them to recognise their own, and decides nothing.
func browserName(agent string) string {
	name, system := txtUnknownBrowser, ""
	for _, known := range []struct{ sign, name string }{
		{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"},
	} {
		if strings.Contains(agent, known.sign) {
			name = known.name
			break
		}
	}
	for _, known := range []struct{ sign, name string }{
		{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"Mac OS", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	} {
		if strings.Contains(agent, known.sign) {
			system = known.name
			break
		}
	}
	if system == "" {
		return name
	}
	return sprintf(txtBrowserOn, name, system)
}
