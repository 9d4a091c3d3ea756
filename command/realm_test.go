package command

import (
	"strings"
	"testing"
)

func TestRealmOf(t *testing.T) {
	handler := func(options string) string { return `{"handler": "registry_auth"` + options + `}` }
	tests := map[string]struct {
		config, realm string
		want, err     string
	}{
		"none":              {`{"apps": {}}`, "", "", "there is no registry_auth handler"},
		"one":               {`[` + handler("") + `]`, "", "default", ""},
		"by its name":       {`[` + handler(`, "realm": "one"`) + `]`, "one", "one", ""},
		"default by name":   {`[` + handler("") + `,` + handler(`, "realm": "one"`) + `]`, "default", "default", ""},
		"several":           {`[` + handler("") + `,` + handler(`, "realm": "one"`) + `]`, "", "", "choose with --realm one of default, one"},
		"the same twice":    {`[` + handler(`, "policy": {"admins": [{"subjects": ["user:a"], "source": "x:1"}]}`) + `,` + handler(`, "policy": {"admins": [{"subjects": ["user:a"], "source": "x:9"}]}`) + `]`, "", "default", ""},
		"different":         {`[` + handler(`, "service": "a"`) + `,` + handler(`, "service": "b"`) + `]`, "", "", `have the realm "default" and differ`},
		"unknown field":     {handler(`, "polici": {}`), "", "", `unknown field "polici"`},
		"long durations":    {handler(`, "token": {"lifetime": 9007199254740993}`), "", "default", ""},
		"no JSON":           {"registry.example.com", "", "", "not JSON"},
		"handler elsewhere": {`{"a": [{"b": {"routes": [{"handle": [` + handler("") + `]}]}}]}`, "", "default", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			config, err := realmOf([]byte(test.config), test.realm)
			switch {
			case test.err != "":
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
			case err != nil:
				t.Error(err)
			case config.Realm != test.want:
				t.Errorf("realm %q, want %q", config.Realm, test.want)
			}
		})
	}
}
