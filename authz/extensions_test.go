package authz

import (
	"net/url"
	"strings"
	"testing"
)

func TestExtensions(t *testing.T) {
	ext := testExtensions(t)
	for _, test := range []struct {
		path, repository string
		action           Action // none: not found
	}{
		{"/v2/_oci/ext/discover", "", List},
		{"/v2/_zot/ext/search", "", List},
		{"/v2/_zot/ext/a/b", "", List},
		{"/v2/_zot/ext/mgmt", "", List}, // by the first that takes GET
		{"/v2/team/app/_ext/x", "team/app", Pull},
		{"/v2/team/app/_ext/x/manifests/1", "team/app", Pull},
		{"/v2/team/app/_ext/x/blobs/uploads/u", "team/app", Pull},
		{"/v2/app/_ext/_ext/_x", "app", Pull},
		{"/v2/_oci/ext/discover/x", "", 0},
		{"/v2/_oci/ext", "", 0},
		{"/v2/_zot/ext", "", 0},
		{"/v2/_zot/extra/x", "", 0},
		{"/v2/team/app/_ext", "", 0},
		{"/v2/team/app/_zot/ext/x", "", 0},
		{"/v2/_ext/x", "", 0},
		{"/v2/Team/_ext/x", "", 0},
		{"/v2/team/app/_ext/../x", "", 0},
		{"/v2/team/app/_ext//x", "", 0},
		{"/v2/team/app/_ext/x/", "", 0},
		{"/v2/team/app/_ext/a%b", "", 0},
		{"/v2/team/app/_ext/a;b", "", 0},
	} {
		r, err := ParseRequest("GET", &url.URL{Path: test.path}, nil, ext)
		if test.action == 0 {
			if err == nil {
				t.Errorf("%s: taken as %+v", test.path, r)
			}
			continue
		}
		if err != nil || r.Route != RouteExtension || r.Repository != test.repository || r.Action() != test.action || r.Path != test.path {
			t.Errorf("%s: %+v, %v", test.path, r, err)
		}
	}
}

func TestNewExtensionsRefuses(t *testing.T) {
	for _, test := range []struct {
		ext  Extension
		want string
	}{
		{Extension{Path: "", Action: List}, "must start with"},
		{Extension{Path: "*", Action: List}, "must start with"},
		{Extension{Path: "{name}/*", Action: Pull}, "must start with"},
		{Extension{Path: "{name}/manifests/*", Action: Pull}, "must start with"},
		{Extension{Path: "team/_ext/x", Action: Pull}, "must start with"},
		{Extension{Path: "_catalog", Action: List}, "must start with"},
		{Extension{Path: "_zot/*/x", Action: List}, "plain segments"},
		{Extension{Path: "_zot//x", Action: List}, "plain segments"},
		{Extension{Path: "_zot/../x", Action: List}, "plain segments"},
		{Extension{Path: "_zot/x/", Action: List}, "plain segments"},
		{Extension{Path: "_zot/{name}", Action: List}, "plain segments"},
		{Extension{Path: "_zot/x"}, "action must be one of list,manage"},
		{Extension{Path: "_zot/x", Action: Pull}, "action must be one of list,manage"},
		{Extension{Path: "_zot/x", Action: List | Manage}, "action must be one of list,manage"},
		{Extension{Path: "{name}/_x", Action: Manage}, "action must be one of pull,push,delete,list"},
		{Extension{Path: "_zot/x", Action: List, Methods: []string{"OPTIONS"}}, `unknown method "OPTIONS"`},
		{Extension{Path: "_zot/x", Action: List, Methods: []string{"get"}}, `unknown method "get"`},
	} {
		_, err := NewExtensions([]Extension{test.ext})
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), `extension "`+test.ext.Path) {
			t.Errorf("%+v: %v", test.ext, err)
		}
	}
	if _, err := NewExtensions([]Extension{{Path: "/v2/_zot/ext/*", Action: List}}); err != nil {
		t.Error(err)
	}
}
