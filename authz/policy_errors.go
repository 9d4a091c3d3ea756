package authz

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// at says where in the configuration an error is.
func at(source string, err error) error {
	if err == nil || source == "" {
		return err
	}
	return fmt.Errorf("%s: %w", source, err)
}

// UnknownWord is the error for a word that is none of those known, with the
// nearest right spelling or, if none is near, all of them.
func UnknownWord(what, word string, known []string) error {
	if near := Nearest(word, known); near != "" {
		return fmt.Errorf("unknown %s %q: did you mean %q?", what, word, near)
	}
	return fmt.Errorf("unknown %s %q: want one of %s", what, word, strings.Join(known, ", "))
}

// unknown is that error for words that stand in no order.
func unknown(what, word string, known []string) error {
	if Nearest(word, known) == "" {
		slices.Sort(known)
	}
	return UnknownWord(what, word, known)
}

// keys returns the sorted keys of a map, so that messages are stable.
func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Nearest returns the known word that was probably meant: the one at the
// smallest edit distance, at most two edits and less than half of the word
// away. It returns "" if there is none.
func Nearest(word string, known []string) string {
	best, distance := "", min(3, (len(word)+1)/2+1)
	lower := strings.ToLower(word)
	for _, k := range known {
		if d := editDistance(lower, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours between two words (optimal string alignment).
func editDistance(a, b string) int {
	const tooLong = 64
	if len(a) > tooLong || len(b) > tooLong {
		return tooLong
	}
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
