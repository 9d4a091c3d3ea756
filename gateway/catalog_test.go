package gateway

import (
	"slices"
	"testing"
)

func TestCursorAfterADeletedName(t *testing.T) {
	for name, x := range map[string]struct{ page, want []string }{
		"it is there":           {[]string{"c", "b", "a"}, []string{"a"}},
		"sorted":                {[]string{"a", "aa", "c", "d"}, []string{"c", "d"}},
		"all of it came before": {[]string{"a", "aa"}, []string{}},
		"sorted as directories": {[]string{"a/x", "a-b", "b/c", "b-a"}, []string{"b/c", "b-a"}},
		"in no order":           {[]string{"x", "a", "c"}, []string{"x", "a", "c"}},
		"none":                  {nil, nil},
	} {
		if got := (cursor{After: "b"}).rest(x.page); !slices.Equal(got, x.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}
