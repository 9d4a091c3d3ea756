package management

import "unicode"

// checkPrintable refuses what cannot be shown on one line.
func checkPrintable(wrong *problems, field, text string) {
	for _, r := range text {
		if !unicode.IsPrint(r) {
			wrong.add(field, "has characters that cannot be printed")
			return
		}
	}
}
