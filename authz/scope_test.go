package authz

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParseScopes(t *testing.T) {
	repo := func(name string, actions Action) Access { return Access{TypeRepository, name, actions} }
	for _, test := range []struct {
		name   string
		values []string
		want   []Access
	}{
		{"none", nil, nil},
		{"empty", []string{"", " "}, nil},
		{"one", []string{"repository:team/app:pull"}, []Access{repo("team/app", Pull)}},
		{"repeated", []string{"repository:b:pull,push", "repository:a:pull"}, []Access{repo("b", Pull|Push), repo("a", Pull)}},
		{"joined", []string{"repository:b:pull,push repository:a:pull"}, []Access{repo("b", Pull|Push), repo("a", Pull)}},
		{
			"merged",
			[]string{"repository:a:pull repository:b:push repository:a:pull,push", "repository:a:delete"},
			[]Access{repo("a", Pull|Push|Delete), repo("b", Push)},
		},
		{"push first", []string{"repository:a:push,pull"}, []Access{repo("a", Pull|Push)}},
		{"all", []string{"repository:a:*"}, []Access{repo("a", AllActions)}},
		{"class", []string{"repository(plugin):a:pull repository:a:push"}, []Access{repo("a", Pull|Push)}},
		{"odd class", []string{"repository():a:pull repository(x)y:a:pull repository(a/b):a:pull repository(X):a:pull"}, nil},
		{"catalog", []string{"registry:catalog:*"}, []Access{{TypeRegistry, "catalog", AllActions}}},
		{"catalog pull", []string{"registry:catalog:pull"}, []Access{{TypeRegistry, "catalog", 0}}},
		{"other registry name", []string{"registry:x:*"}, []Access{{TypeRegistry, "x", 0}}},
		{"host and port", []string{"repository:reg.test:5000/a:pull"}, []Access{repo("reg.test:5000/a", 0)}},
		{"unknown actions", []string{"repository:a:pull,frob,,PULL,overwrite,manage"}, []Access{repo("a", Pull)}},
		{"no actions", []string{"repository:a:"}, []Access{repo("a", 0)}},
		{"upper case name", []string{"repository:Team/app:pull"}, []Access{repo("Team/app", 0)}},
		{"pattern as name", []string{"repository:team/*:pull repository:**:*"}, []Access{repo("team/*", 0), repo("**", 0)}},
		{"no name", []string{"repository::pull"}, []Access{repo("", 0)}},
		{"tab is no space", []string{"repository:a:pull\trepository:b:pull"}, []Access{repo("a:pull\trepository:b", 0)}},
		{"unknown type", []string{"Repository:a:pull artifact:a:pull :a:pull"}, nil},
		{"no scope at all", []string{"openid", "repository", "repository:a", ":", "::"}, nil},
	} {
		got, err := ParseScopes(test.values)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %v, %v, want %v", test.name, got, err, test.want)
		}
	}
}

func TestParseScopesBounds(t *testing.T) {
	scope := "repository:a:pull "
	for _, test := range []struct {
		name   string
		values []string
		want   error
	}{
		{"100", []string{strings.Repeat(scope, 100)}, nil},
		{"101 joined", []string{strings.Repeat(scope, 101)}, ErrTooManyScopes},
		{"101 repeated", strings.Split(strings.Repeat("x,", 101)+"x", ","), ErrTooManyScopes},
		{"8 KiB", []string{strings.Repeat("a", maxScopeBytes-1)}, nil},
		{"8 KiB and one", []string{strings.Repeat("a", maxScopeBytes)}, ErrTooManyScopes},
		{"many empty", make([]string, maxScopeBytes+1), ErrTooManyScopes},
	} {
		if _, err := ParseScopes(test.values); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestFormatScopes(t *testing.T) {
	list := []Access{
		{TypeRepository, "team/app", AllActions},
		{TypeRepository, "x", List | Manage | Overwrite},
		{TypeRepository, "y", 0},
		{TypeRepository, "b", Pull | List},
		{TypeRegistry, "catalog", List},
		{TypeRegistry, "catalog", 0},
	}
	want := "repository:team/app:pull,push,delete repository:b:pull registry:catalog:*"
	if got := FormatScopes(list); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := FormatScopes(nil); got != "" {
		t.Errorf("got %q for nothing", got)
	}
	if got := list[1].String(); got != "repository:x:" {
		t.Error(got)
	}
	if got := list[0].String(); got != "repository:team/app:pull,push,delete" {
		t.Error(got)
	}
}

// No scope gives more than its own words say, and what is formatted is read
// as the same again.
func FuzzParseScopes(f *testing.F) {
	f.Add("repository:team/app:pull,push repository(plugin):b:*")
	f.Add("registry:catalog:* repository:h:5000/a:pull")
	f.Add("repository:a:pull repository:a:push")
	f.Add("repository(x)(y):a:pull ::: repository::delete")
	f.Fuzz(func(t *testing.T, value string) {
		list, err := ParseScopes([]string{value})
		if err != nil {
			return
		}
		words := map[Action]string{Pull: "pull", Push: "push", Delete: "delete"}
		for _, a := range list {
			asked := false
			for scope := range strings.SplitSeq(value, " ") {
				typ, rest, _ := strings.Cut(scope, ":")
				typ, _, _ = strings.Cut(typ, "(")
				asked = asked || typ == a.Type && strings.HasPrefix(rest, a.Name+":")
			}
			if !asked {
				t.Fatalf("%q was not asked for in %q", a, value)
			}
			for action, word := range words {
				if a.Actions.Has(action) && !strings.Contains(value, word) && !strings.Contains(value, "*") {
					t.Fatalf("%q has %s, not asked for in %q", a, word, value)
				}
			}
			if a.Actions != 0 && a.Type == TypeRepository && !ValidName(a.Name) {
				t.Fatalf("actions on %q", a.Name)
			}
		}
		text := FormatScopes(list)
		again, err := ParseScopes([]string{text})
		if err != nil || FormatScopes(again) != text {
			t.Fatalf("%q read as %v, %v", text, again, err)
		}
	})
}
