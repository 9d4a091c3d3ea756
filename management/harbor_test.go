package management

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// harborCall is a call as Harbor's tools make it: with Basic, JSON declared
// always, and "null" where there is nothing to say.
func (s *stage) harbor(method, path, body string) seen {
	s.t.Helper()
	if body == "" {
		body = "null\n"
	}
	return s.call("", method, HarborPrefix+path, body, "Authorization", basic("admin", adminKey))
}

// TestHarborTerraform makes the calls that Harbor's Terraform provider makes
// for a robot, in their order: apply, plan, change, destroy.
func TestHarborTerraform(t *testing.T) {
	s := newStage(t)
	const permissions = `[{"access":[{"action":"push","resource":"repository","effect":"allow"},{"action":"pull","resource":"repository","effect":"allow"}],"kind":"project","namespace":"library"},` +
		`{"access":[{"action":"create","resource":"labels","effect":"allow"}],"kind":"system","namespace":"/"},` +
		`{"access":[{"action":"pull","resource":"repository","effect":"allow"},{"action":"create","resource":"scan","effect":"allow"}],"kind":"project","namespace":"*"}]`
	made := s.harbor("POST", "/robots", `{"name":"ci","level":"system","description":"d","duration":-1,"permissions":`+permissions+`}`).want(201)
	var created harborCreated
	made.into(&created)
	if created.Name != "robot$ci" || created.ExpiresAt != -1 || created.Created == nil || !strings.HasPrefix(created.Secret, "craro_") {
		t.Errorf("%s", made.body)
	}
	location := made.header.Get("Location")
	if location != fmt.Sprintf("/api/v2.0/robots/%d", created.ID) {
		t.Errorf("Location %s", location)
	}
	id := strings.TrimPrefix(location, "/api/v2.0")
	s.harbor("PATCH", id, `{"secret":"Chosen-Secret-1"}`).want(200)
	s.call(created.Secret, "GET", "/whoami", nil).want(401)
	s.call("", "GET", "/whoami", nil, "Authorization", basic("robot$ci", "Chosen-Secret-1")).want(200)

	// The plan that follows sees no difference.
	var got map[string]any
	s.harbor("GET", id, "").want(200).into(&got)
	var want any
	if err := json.Unmarshal([]byte(permissions), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got["permissions"], want) || got["duration"] != float64(-1) || got["disable"] != false || got["name"] != "robot$ci" {
		t.Errorf("%v", got)
	}
	var config map[string]map[string]any
	s.harbor("GET", "/configurations", "").want(200).into(&config)
	if config["robot_name_prefix"]["value"] != "robot$" {
		t.Errorf("%v", config)
	}
	// What it means here.
	var robot Robot
	s.admin("GET", "/robots/ci", nil).want(200).into(&robot)
	if fmt.Sprint(robot.Permissions) != "[{repository library/** [pull push]} {repository ** [pull]}]" {
		t.Errorf("%v", robot.Permissions)
	}

	// Changed: the whole robot is sent back, with its full name.
	s.harbor("PUT", id, `{"name":"robot$ci","level":"system","description":"e","duration":30,"disable":true,"permissions":[{"kind":"project","namespace":"*","access":[{"resource":"repository","action":"pull"}]}]}`).want(200)
	s.harbor("GET", id, "").want(200).into(&got)
	if got["duration"] != float64(30) || got["disable"] != true || got["description"] != "e" || int64(got["expires_at"].(float64)) != s.clock.now().Add(30*24*time.Hour).Unix() {
		t.Errorf("%v", got)
	}
	s.harbor("PUT", id, `{"name":"robot$other","level":"system","duration":30,"permissions":`+permissions+`}`).want(400)
	s.harbor("PUT", id, `{"name":"robot$ci","level":"project","duration":30,"permissions":`+permissions+`}`).want(400)
	// The secret is refreshed: the old one ends at once.
	if fresh := s.harbor("PATCH", id, `{"secret":""}`).want(200).text("secret"); !strings.HasPrefix(fresh, "craro_") {
		t.Errorf("secret %q", fresh)
	}
	s.harbor("DELETE", id, "").want(200)
	gone := s.harbor("GET", id, "").want(404)
	var e harborError
	if gone.into(&e); len(e.Errors) != 1 || e.Errors[0].Code != "NOT_FOUND" {
		t.Errorf("%s", gone.body)
	}
}

func TestHarborProjectRobots(t *testing.T) {
	s := newStage(t)
	body := `{"name":"ci","level":"project","duration":7,"permissions":[{"kind":"project","namespace":"team-a","access":[{"resource":"repository","action":"push"}]}]}`
	made := s.harbor("POST", "/robots", body).want(201)
	if made.text("name") != "robot$team-a+ci" {
		t.Errorf("%s", made.body)
	}
	s.harbor("POST", "/robots", body).want(409)
	// Who manages the project sees it, who does not does not.
	path := made.header.Get("Location")
	s.call("alice", "GET", path, nil).want(200)
	s.call("bob", "GET", path, nil).want(404)
	s.call("", "GET", path, nil).want(401)
	var robot Robot
	s.admin("GET", "/robots/team-a+ci", nil).into(&robot)
	if fmt.Sprint(robot.Permissions) != "[{repository team-a/** [pull push]}]" {
		t.Errorf("%v", robot.Permissions)
	}
	denied := s.call("alice", "POST", HarborPrefix+"/robots", strings.Replace(body, `"push"`, `"manage"`, 1))
	if denied.status != 409 { // alice manages it, the name is taken
		t.Errorf("%d %s", denied.status, denied.body)
	}
	denied = s.call("alice", "POST", HarborPrefix+"/robots", strings.Replace(body, "team-a", "team-b", 1)).want(403)

	var list []harborRobot
	for q, names := range map[string]string{
		"":                             "robot$declared",
		"?q=Level%3Dproject":           "robot$team-a+ci",
		"?q=Level=project,ProjectID=1": "",
		fmt.Sprintf("?q=Level=project,ProjectID=%d", declaredNumber("team-a")): "robot$team-a+ci",
		"?q=Level=project,name=ci":         "robot$team-a+ci",
		"?q=name=robot$declared":           "robot$declared",
		"?q=name=~clar&page=1&page_size=1": "robot$declared",
		"?page=2&page_size=1":              "",
	} {
		got := s.harbor("GET", "/robots"+q, "").want(200)
		got.into(&list)
		var found []string
		for _, r := range list {
			found = append(found, r.Name)
		}
		if strings.Join(found, " ") != names || got.header.Get("X-Total-Count") == "" {
			t.Errorf("%s: %v, want %s", q, found, names)
		}
	}
	for _, q := range []string{"?q=Level=other", "?q=x=1", "?q=Level", "?page=0", "?page_size=1000", "?q=ProjectID=x"} {
		s.harbor("GET", "/robots"+q, "").want(400)
	}
	// What is declared is seen and not changed.
	s.harbor("GET", "/robots", "").into(&list)
	i := slices.IndexFunc(list, func(r harborRobot) bool { return r.Name == "robot$declared" })
	id := fmt.Sprintf("/robots/%d", list[i].ID)
	if s.harbor("GET", id, "").want(200).text("editable") != "false" {
		t.Error("it is editable")
	}
	s.harbor("DELETE", id, "").want(403)
	s.harbor("PATCH", id, `{}`).want(403)
}

func TestHarborRefuses(t *testing.T) {
	s := newStage(t)
	pull := `[{"kind":"project","namespace":"*","access":[{"resource":"repository","action":"pull"}]}]`
	for _, body := range []string{
		`{`, `[]`,
		`{"name":"a","level":"x","duration":1,"permissions":` + pull + `}`,
		`{"name":"a","level":"system","duration":0,"permissions":` + pull + `}`,
		`{"name":"a","level":"system","duration":-2,"permissions":` + pull + `}`,
		`{"name":"A b","level":"system","duration":1,"permissions":` + pull + `}`,
		`{"name":"p+a","level":"system","duration":1,"permissions":` + pull + `}`,
		`{"name":"a","level":"project","duration":1,"permissions":` + pull + `}`,
		`{"name":"a","level":"system","duration":1,"permissions":[]}`,
		`{"name":"a","level":"system","duration":1,"permissions":[{"kind":"x","namespace":"*","access":[{"resource":"repository","action":"pull"}]}]}`,
		`{"name":"a","level":"system","duration":1,"permissions":[{"kind":"project","namespace":"*","access":[{"resource":"*","action":"*"}]}]}`,
		`{"name":"a","level":"system","duration":1,"permissions":[{"kind":"project","namespace":"*","access":[{"resource":"repository","action":"pull","effect":"deny"}]}]}`,
		`{"name":"a","level":"system","duration":1,"permissions":[{"kind":"project","namespace":"No Such","access":[{"resource":"repository","action":"pull"}]}]}`,
	} {
		s.harbor("POST", "/robots", body).want(400)
	}
	s.harbor("GET", "/robots/x", "").want(404)
	s.harbor("GET", "/robots/7", "").want(404)
	s.harbor("GET", "/nothing", "").want(404)
	s.harbor("POST", "/permissions", "").want(405)
	s.harbor("GET", "/permissions", "").want(200)
	s.call("", "GET", HarborPrefix+"/systeminfo", nil).want(200)

	off := newStage(t, func(o *Options) { o.Config.HarborRobots = false })
	if off.api.Serves(HarborPrefix+"/robots") || !off.api.Serves(DefaultPrefix+"/robots") || !s.api.Serves(HarborPrefix+"/robots") || s.api.Serves("/v2/") {
		t.Error("what is served")
	}
}

// TestHarborPermissionsThereAndBack has every permission that a robot may have
// come back as it was.
func TestHarborPermissionsThereAndBack(t *testing.T) {
	s := newStage(t)
	m := s.manager
	for _, p := range []Permission{
		{Type: "repository", Name: "team-a/**", Actions: []string{"pull", "push"}},
		{Type: "repository", Name: "unknown/**", Actions: []string{"pull"}},
		{Type: "repository", Name: "**", Actions: []string{"pull", "push", "delete", "list", "overwrite", "manage"}},
		{Type: "repository", Name: "team-a/app", Actions: []string{"overwrite"}},
		{Type: "repository", Name: "team-*/**", Actions: []string{"manage"}},
		{Type: "registry", Name: "catalog", Actions: []string{"*"}},
	} {
		shown := m.toHarbor(p)
		back, err := m.harborLimits([]harborPermission{shown}, false)
		if err != nil || !reflect.DeepEqual(back, []Permission{p}) {
			t.Errorf("%v: %v: %v, %v", p, shown, back, err)
		}
	}
}

// TestHarborPermissionsMeanNoMore: what Harbor's words give here, and which are
// refused.
func TestHarborPermissionsMeanNoMore(t *testing.T) {
	s := newStage(t)
	in := func(kind, namespace string, access ...harborAccess) []harborPermission {
		return []harborPermission{{kind, namespace, access}}
	}
	on := func(resource, action string) harborAccess { return harborAccess{Resource: resource, Action: action} }
	pull, push := on("repository", "pull"), on("repository", "push")
	for name, test := range map[string]struct {
		list    []harborPermission
		project bool
		want    string // "": it is refused
	}{
		"pulling":                        {in("project", "team-a", pull), false, "[{repository team-a/** [pull]}]"},
		"pulling in a project":           {in("project", "team-a", pull), true, "[{repository team-a/** [pull]}]"},
		"pushing":                        {in("project", "team-a", push), false, "[{repository team-a/** [push]}]"},
		"pushing in a project":           {in("project", "team-a", push), true, "[{repository team-a/** [pull push]}]"},
		"both in a project":              {in("project", "team-a", push, pull), true, "[{repository team-a/** [pull push]}]"},
		"listing in a project":           {in("project", "team-a", on("repository", "list")), true, "[{repository team-a/** [list]}]"},
		"twice the same":                 {in("project", "team-a", on("tag", "list"), on("artifact", "list")), false, "[{repository team-a/** [list]}]"},
		"what means nothing here":        {in("project", "team-a", on("scan", "create")), false, "[]"},
		"the catalog":                    {in("system", "/", on("catalog", "read")), false, "[{registry catalog [*]}]"},
		"the catalog to be listed":       {in("system", "/", on("catalog", "list")), false, "[]"},
		"something else to be read":      {in("system", "/", on("labels", "read")), false, "[]"},
		"pulling from the system":        {in("system", "/", pull), false, "[]"},
		"the catalog of a project":       {in("project", "team-a", on("catalog", "read")), false, "[]"},
		"another kind for the system":    {in("robot", "/", on("catalog", "read")), false, ""},
		"another place for the system":   {in("system", "team-a", on("catalog", "read")), false, ""},
		"a project that is not named":    {in("project", "", pull), false, ""},
		"nothing":                        {nil, false, ""},
		"no access":                      {in("project", "team-a"), false, ""},
		"as much access as may be":       {in("project", "team-a", slices.Repeat([]harborAccess{pull}, maxHarborAccess)...), false, "[{repository team-a/** [pull]}]"},
		"more access":                    {in("project", "team-a", slices.Repeat([]harborAccess{pull}, maxHarborAccess+1)...), false, ""},
		"more permissions":               {slices.Repeat(in("project", "team-a", on("scan", "create")), maxHarborPermissions+1), false, ""},
		"as many permissions as may be":  {slices.Repeat(in("project", "team-a", on("scan", "create")), maxHarborPermissions), false, "[]"},
		"a resource that is no word":     {in("project", "team-a", on("*", "pull")), false, ""},
		"an action that is no word":      {in("project", "team-a", on("repository", "*")), false, ""},
		"an effect":                      {in("project", "team-a", harborAccess{"repository", "pull", "allow"}), false, "[{repository team-a/** [pull]}]"},
		"another effect":                 {in("project", "team-a", harborAccess{"repository", "pull", "deny"}), false, ""},
		"what is refused beside a right": {in("project", "team-a", pull, on("repository", "*")), false, ""},
	} {
		got, err := s.manager.harborLimits(test.list, test.project)
		if (err == nil) != (test.want != "") || err == nil && fmt.Sprint(got) != test.want {
			t.Errorf("%s: %v, %v, want %s", name, got, err, test.want)
		}
	}
}

// TestHarborShowsWhatARobotHas: what a call of Harbor's gave it is shown as it
// was written only as long as the robot has no other permissions.
func TestHarborShowsWhatARobotHas(t *testing.T) {
	s := newStage(t)
	made := s.harbor("POST", "/robots", `{"name":"ci","level":"system","duration":-1,"permissions":[{"kind":"project","namespace":"*","access":[{"resource":"repository","action":"pull"},{"resource":"scan","action":"create"}]}]}`).want(201)
	path := strings.TrimPrefix(made.header.Get("Location"), HarborPrefix)
	shown := func() string {
		var r harborRobot
		s.harbor("GET", path, "").want(200).into(&r)
		return fmt.Sprint(r.Permissions)
	}
	if got := shown(); got != "[{project * [{repository pull } {scan create }]}]" {
		t.Error(got)
	}
	s.admin("PUT", "/robots/ci", `{"permissions":[{"name":"team-a/**","actions":["*"]},{"type":"registry","name":"catalog","actions":["*"]}]}`).want(200)
	if got := shown(); got != "[{project team-a [{repository pull allow} {repository push allow} {repository delete allow} {repository list allow} {repository overwrite allow} {repository manage allow}]} {system / [{catalog read allow}]}]" {
		t.Error(got)
	}
}

// TestHarborStopsWhereItRefuses: a robot that is not there, or that the caller
// does not see, is neither changed nor deleted.
func TestHarborStopsWhereItRefuses(t *testing.T) {
	s := newStage(t)
	body := `{"name":"ci","level":"system","duration":-1,"disable":true,"permissions":[{"kind":"project","namespace":"*","access":[{"resource":"repository","action":"pull"}]}]}`
	made := s.harbor("POST", "/robots", strings.Replace(body, `"disable":true,`, "", 1)).want(201)
	path := made.header.Get("Location")
	number := strings.TrimPrefix(path, HarborPrefix)
	for _, c := range []struct {
		as, method, path, body string
		status                 int
	}{
		{"alice", "PUT", path, strings.Replace(body, "ci", "robot$ci", 1), 404},
		{"alice", "DELETE", path, "null", 404},
		{"alice", "PATCH", path, `{"secret":"Chosen-Secret-1"}`, 404},
		{adminKey, "PUT", path + "7", strings.Replace(body, "ci", "robot$ci", 1), 404},
		{adminKey, "DELETE", path + "7", "null", 404},
		{adminKey, "PATCH", path + "7", `{"secret":"Chosen-Secret-1"}`, 404},
		{adminKey, "PUT", path, `{`, 400},
		{adminKey, "PATCH", path, `{`, 400},
		{adminKey, "PATCH", path, `{"secret":"short"}`, 400},
		{adminKey, "PUT", path, strings.Replace(body, "-1", "0", 1), 400},
		{adminKey, "PUT", path, strings.Replace(body, "repository", "*", 1), 400},
		{adminKey, "POST", HarborPrefix + "/robots", `{"name":"other"`, 400},
		{adminKey, "POST", HarborPrefix + "/robots", strings.Replace(body, "ci", "o p", 1), 400},
	} {
		if got := s.call(c.as, c.method, c.path, c.body); got.status != c.status {
			t.Errorf("%s: %s %s %s: %d %s", c.as, c.method, c.path, c.body, got.status, got.body)
		}
	}
	var r Robot
	s.admin("GET", "/robots/ci", nil).want(200).into(&r)
	if r.Disabled || fmt.Sprint(r.Permissions) != "[{repository ** [pull]}]" || len(s.state.Robots.Sorted()) != 1 {
		t.Errorf("%+v", r)
	}
	s.call(made.text("secret"), "GET", "/whoami", nil).want(200)
	// A secret that was chosen is the robot's from the beginning.
	s.harbor("POST", "/robots", strings.Replace(strings.Replace(body, `"disable":true,`, `"secret":"Chosen-Secret-1",`, 1), "ci", "own", 1)).want(201)
	s.call("", "GET", "/whoami", nil, "Authorization", basic("robot$own", "Chosen-Secret-1")).want(200)
	s.harbor("DELETE", number, "").want(200)
	s.harbor("GET", number, "").want(404)
}
