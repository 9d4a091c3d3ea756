package authn

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestNamesAreReadInEveryFormThatProvidersSend(t *testing.T) {
	for name, x := range map[string]struct {
		claim any
		names []string
		whole bool
	}{
		"a list":                              {[]any{"dev", "ops"}, []string{"dev", "ops"}, true},
		"an empty list":                       {[]any{}, []string{}, true},
		"a list of one as a text":             {"dev", []string{"dev"}, true},
		"the name of an entry":                {"cn=dev,ou=groups,dc=example", []string{"cn=dev,ou=groups,dc=example"}, true},
		"a list of names of entries":          {[]any{"cn=dev,ou=groups"}, []string{"cn=dev,ou=groups"}, true},
		"names with commas in a list":         {[]any{"Sales, North", "dev"}, []string{"Sales, North", "dev"}, true},
		"an object of objects (Zitadel)":      {map[string]any{"dev": map[string]any{"1": "acme"}}, []string{"dev"}, true},
		"null":                                {nil, nil, false},
		"an empty text":                       {" ", nil, false},
		"a comma list":                        {"dev,admins", []string{"dev,admins"}, false},
		"a comma list in a list":              {[]any{"dev,admins"}, []string{"dev,admins"}, false},
		"a list as a text":                    {`["dev"]`, nil, false},
		"a list as a text in a list":          {[]any{`["dev"]`}, []string{}, false},
		"true":                                {true, nil, false},
		"a number":                            {7.0, nil, false},
		"an object":                           {map[string]any{"name": "dev"}, nil, false},
		"an empty object":                     {map[string]any{}, nil, false},
		"a list of objects":                   {[]any{map[string]any{"name": "dev"}}, []string{}, false},
		"a mixed list":                        {[]any{"dev", 7.0}, []string{"dev"}, false},
		"a list with an empty name":           {[]any{"dev", ""}, []string{"dev"}, false},
		"a list with a name that is no name":  {[]any{"dev", "a\nb"}, []string{"dev"}, false},
		"a list with a name that is too long": {[]any{"dev", string(make([]byte, 300))}, []string{"dev"}, false},
	} {
		names, form := readNames(x.claim, true)
		if !slices.Equal(names, x.names) || (form == "") != x.whole {
			t.Errorf("%s: %q %q", name, names, form)
		}
	}
	if names, form := readNames(nil, false); names != nil || form != formMissing {
		t.Errorf("missing: %q %q", names, form)
	}
}

// TestListsAreTakenApartAsConfigured: what a provider writes in one text or as
// objects is read where the configuration says how, and never by guessing.
func TestListsAreTakenApartAsConfigured(t *testing.T) {
	dev := map[string]any{"id": "1", "name": "dev"}
	for name, x := range map[string]struct {
		path, form string
		groups     any
		names      []string
		whole      bool
	}{
		"commas":                        {"groups", "comma", "dev, ops,", []string{"dev", "ops"}, true},
		"commas, one":                   {"groups", "comma", "dev", []string{"dev"}, true},
		"commas, none":                  {"groups", "comma", "", []string{}, true},
		"commas in the only member":     {"groups", "comma", []any{"dev,ops"}, []string{"dev", "ops"}, true},
		"commas in one of two members":  {"groups", "comma", []any{"dev,ops", "x"}, []string{"dev,ops", "x"}, true},
		"commas and no name":            {"groups", "comma", "dev,a\nb", []string{"dev"}, false},
		"commas and JSON":               {"groups", "comma", `["dev","ops"]`, nil, false},
		"commas and true":               {"groups", "comma", true, nil, false},
		"semicolons":                    {"groups", "semicolon", "Sales, North;dev", []string{"Sales, North", "dev"}, true},
		"blanks":                        {"groups", "space", "dev  ops", []string{"dev", "ops"}, true},
		"JSON":                          {"groups", "json", `["dev","a,b"]`, []string{"dev", "a,b"}, true},
		"JSON of one with a comma":      {"groups", "json", `["a,b"]`, []string{"a,b"}, true},
		"JSON in the only member":       {"groups", "json", []any{`["dev"]`}, []string{"dev"}, true},
		"JSON that is mixed":            {"groups", "json", `["dev",7]`, []string{"dev"}, false},
		"JSON that is none":             {"groups", "json", `["dev"`, nil, false},
		"JSON that is an object":        {"groups", "json", `{"dev":true}`, nil, false},
		"a list after all":              {"groups", "json", []any{"dev", "ops"}, []string{"dev", "ops"}, true},
		"objects":                       {"groups[].name", "", []any{dev, map[string]any{"name": "a,b"}}, []string{"dev", "a,b"}, true},
		"objects, none":                 {"groups[].name", "", []any{}, []string{}, true},
		"objects with another in it":    {"groups[].of.name", "", []any{map[string]any{"of": dev}}, []string{"dev"}, true},
		"objects, one without the name": {"groups[].name", "", []any{dev, map[string]any{"id": "2"}}, []string{"dev"}, false},
		"objects, one is a text":        {"groups[].name", "", []any{dev, "ops"}, []string{"dev"}, false},
		"objects whose name is none":    {"groups[].name", "", []any{dev, map[string]any{"name": 7.0}}, []string{"dev"}, false},
		"no list of objects":            {"groups[].name", "", "dev", nil, false},
		"no claim":                      {"others[].name", "", []any{dev}, nil, false},
	} {
		rules := newClaimRules(OIDCConfig{ClaimsConfig: ClaimsConfig{Groups: x.path, GroupsForm: x.form}})
		names, unread, err := rules.list(map[string]any{"groups": x.groups}, rules.groups)
		if err != nil || !slices.Equal(names, x.names) || unread == x.whole {
			t.Errorf("%s: %q, unread %t, %v", name, names, unread, err)
		}
		rules.claims = []string{rules.groups.path}
		if _, _, err = rules.list(map[string]any{"groups": x.groups}, rules.groups); errors.Is(err, ErrInvalid) == x.whole {
			t.Errorf("%s, required: %v", name, err)
		}
	}
}

func TestClaimsSettingsAreChecked(t *testing.T) {
	for settings, wrong := range map[*ClaimsConfig]string{
		{Groups: "groups[].name", GroupsForm: "comma", RolesForm: "json"}: "",
		{GroupsForm: ","}:                   "groups: the form",
		{RolesForm: "list"}:                 "roles: the form",
		{Groups: "[].name"}:                 "groups: \"[].name\"",
		{Roles: "groups[]."}:                "roles: \"groups[].\"",
		{Groups: "a[].b[].c"}:               "groups: \"a[].b[].c\"",
		{RequiredClaims: []string{""}}:      "require_claim is empty",
		{RequiredGroups: []string{"a", ""}}: "required_group or",
	} {
		if err := settings.check(); (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%+v: %v", settings, err)
		}
	}
}

func TestGroupsKeptElsewhereAreRefusedInEverySpelling(t *testing.T) {
	log, lines := observer.New(zap.InfoLevel)
	rules := newClaimRules(OIDCConfig{Issuer: "https://idp.example", ClientID: "registry"})
	rules.unread = newUnreadNotice(zap.New(log))
	now := time.Now()
	token := func(more map[string]any) map[string]any {
		claims := map[string]any{
			"aud": "registry", "sub": "1", "preferred_username": "alice",
			"iat": float64(now.Unix()), "exp": float64(now.Unix() + 60),
		}
		for name, v := range more {
			claims[name] = v
		}
		return claims
	}
	for name, more := range map[string]map[string]any{
		"_claim_names":          {"_claim_names": map[string]any{"groups": "src1"}},
		"_claim_names as text":  {"_claim_names": `{"groups":"src1"}`},
		"_claim_names as list":  {"_claim_names": []any{"groups"}},
		"hasgroups":             {"hasgroups": true},
		"hasgroups as text":     {"hasgroups": "true"},
		"groups:src1":           {"groups:src1": "https://graph.example/"},
		"the name of a source":  {"groups": "src1", "_claim_sources": map[string]any{"src1": map[string]any{"endpoint": "https://graph.example/"}}},
		"beside groups as well": {"groups": []any{"dev"}, "_claim_names": map[string]any{"groups": "src1"}},
	} {
		if p, err := rules.principal(token(more), now); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %+v %v", name, p, err)
		}
	}
	for name, x := range map[string]struct {
		more   map[string]any
		unread bool
	}{
		"other claims elsewhere": {map[string]any{"groups": []any{"dev"}, "_claim_names": map[string]any{"address": "src1"}}, false},
		"hasgroups is false":     {map[string]any{"groups": []any{"dev"}, "hasgroups": false}, false},
		"nothing":                {nil, true},
		"true":                   {map[string]any{"groups": true}, true},
		"nothing again":          {nil, true},
		"true again":             {map[string]any{"groups": true}, true},
	} {
		p, err := rules.principal(token(x.more), now)
		if err != nil || p.GroupsUnread != x.unread || p.RolesUnread {
			t.Errorf("%s: %+v %v", name, p, err)
		}
	}
	if n := lines.FilterLevelExact(zap.WarnLevel).Len(); n != 1 || lines.Len() != 2 {
		t.Errorf("%d warnings of %d lines: %v", n, lines.Len(), lines.All())
	}
}
