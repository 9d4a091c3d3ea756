package registryauth_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	registry "github.com/caddy-registry-auth/caddy-registry-auth/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/realm"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
)

// front is what requests to the registry API need of the gateway's realm.
func (g *gateway) front() *registry.Front {
	g.t.Helper()
	app, err := caddy.ActiveContext().AppIfConfigured("registry_auth")
	if err != nil {
		g.t.Fatal(err)
	}
	r, err := app.(*realm.App).Realm("")
	if err != nil {
		g.t.Fatal(err)
	}
	run := r.Take(g.t.Context())
	if run == nil {
		g.t.Fatal("the realm is not ready")
	}
	defer run.Leave()
	return run.Front
}

// mint signs a registry token of robot ci as the gateway does.
func (g *gateway) mint(expires time.Time) string {
	g.t.Helper()
	issued := expires.Add(-5 * time.Minute)
	payload, err := json.Marshal(authn.RegistryClaims{
		Issuer: "http://registry.test", Subject: "robot:ci", Audience: "registry.test", ID: "test",
		ExpiresAt: expires.Unix(), NotBefore: issued.Unix(), IssuedAt: issued.Unix(),
		Access:    []authn.Limit{{Type: "repository", Name: "team/app", Actions: []string{"pull", "push"}}},
		Principal: &authn.RegistryPrincipal{Kind: authn.KindRobot, Name: "ci", Authenticator: "robots", Credential: "robot_secret", CredentialID: strings.Split(g.hash, ":")[1]},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	token, err := g.front().Keys.Sign(payload)
	if err != nil {
		g.t.Fatal(err)
	}
	return token
}

func TestUploadOutlivesItsToken(t *testing.T) {
	g := startGateway(t, standardRealm)
	const upload = "/v2/team/app/blobs/uploads/u1?_state=abc%3D"
	g.upstream.respond(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", upload)
		w.WriteHeader(http.StatusAccepted)
	})
	started := g.do("POST", "/v2/team/app/blobs/uploads/", "", bearer(g.mint(time.Now().Add(-50*time.Second))))
	location := started.Header.Get("Location")
	if started.StatusCode != http.StatusAccepted || !strings.HasPrefix(location, upload+"&_grace=") {
		t.Fatalf("%d, Location %s", started.StatusCode, location)
	}
	g.upstream.seen()

	expired := bearer(g.mint(time.Now().Add(-10 * time.Minute)))
	// The proof was made with a token that ends now; make one for this token.
	long := g.do("PATCH", location, "data", bearer(g.mint(time.Now().Add(-50*time.Second))))
	if long.StatusCode != http.StatusAccepted || !strings.HasPrefix(long.Header.Get("Location"), upload+"&_grace=") {
		t.Fatalf("%d, Location %s", long.StatusCode, long.Header.Get("Location"))
	}
	if seen := g.upstream.seen(); len(seen) != 1 || seen[0].RequestURI != upload {
		t.Fatalf("the registry saw %v", seen)
	}
	for name, tt := range map[string]struct {
		path   string
		method string
		want   int
	}{
		"no proof":          {upload, "PATCH", 401},
		"forged proof":      {upload + "&_grace=AAAA", "PATCH", 401},
		"other repository":  {strings.Replace(location, "team/app", "team/b", 1), "PATCH", 401},
		"not an upload":     {"/v2/team/app/manifests/v1?" + location[strings.IndexByte(location, '_'):], "PUT", 401},
		"proof of an other": {location, "PATCH", 401}, // made with a token that expired at another time
	} {
		a := g.do(tt.method, tt.path, "data", expired)
		if a.StatusCode != tt.want {
			t.Errorf("%s: %d, want %d: %s", name, a.StatusCode, tt.want, a.body)
		}
	}
}

// uploadGrace is what a proof has in it.
type uploadGrace struct {
	Principal  string `json:"p"`
	Repository string `json:"r"`
	Until      int64  `json:"u"`
}

// TestUploadGoesOnAfterExpiry seals the proof that an upload with this token
// would have got, and goes on with it after the token's end.
func TestUploadGoesOnAfterExpiry(t *testing.T) {
	g := startManaged(t, "")
	end := time.Now().Add(-10 * time.Minute).Truncate(time.Second)
	grace := func(change func(*uploadGrace)) string {
		u := uploadGrace{Principal: "robot:ci", Repository: "team/app", Until: end.Add(time.Hour).Unix()}
		change(&u)
		value, err := json.Marshal(u)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := g.front().Keys.Seal("upload", value)
		if err != nil {
			t.Fatal(err)
		}
		return "/v2/team/app/blobs/uploads/u1?digest=" + url.QueryEscape("sha256:"+strings.Repeat("a", 64)) + "&_grace=" + sealed
	}
	token := bearer(g.mint(end))
	for name, tt := range map[string]struct {
		path string
		want int
	}{
		"same upload":      {grace(func(*uploadGrace) {}), 200},
		"other principal":  {grace(func(u *uploadGrace) { u.Principal = "robot:other" }), 401},
		"other repository": {grace(func(u *uploadGrace) { u.Repository = "team/b" }), 401},
		"other end":        {grace(func(u *uploadGrace) { u.Until++ }), 401},
	} {
		if a := g.do("PUT", tt.path, "data", token); a.StatusCode != tt.want {
			t.Errorf("%s: %d, want %d: %s", name, a.StatusCode, tt.want, a.body)
		}
	}
	path := grace(func(*uploadGrace) {})

	// The grace itself ends, an hour after the token.
	late := end
	end = time.Now().Add(-tokenendpoint.DefaultUploadGrace - time.Minute).Truncate(time.Second)
	if a := g.do("PUT", grace(func(*uploadGrace) {}), "data", bearer(g.mint(end))); a.StatusCode != 401 {
		t.Errorf("long after the end of the token: %d", a.StatusCode)
	}
	end = late
	if a := g.do("PUT", path, "data", token); a.StatusCode != 200 {
		t.Fatalf("it does not go on any more: %d", a.StatusCode)
	}
	g.load(strings.Replace(managed(), "robot ci pull push {", "robot ci pull push {\ndisabled", 1))
	if a := g.do("PUT", path, "data", token); a.StatusCode != 401 {
		t.Errorf("a robot that is disabled went on: %d", a.StatusCode)
	}
	g.load(managed())
	g.manage("POST", "/revocations", `{"principal":"robot:ci"}`, 201)
	if a := g.do("PUT", path, "data", token); a.StatusCode != 401 {
		t.Errorf("a robot whose tokens were revoked went on: %d", a.StatusCode)
	}
	g.load(strings.ReplaceAll(standardRealm, "robot ci", "robot other"))
	if a := g.do("PUT", path, "data", token); a.StatusCode != 401 {
		t.Errorf("a robot that is gone went on: %d", a.StatusCode)
	}
	g.load(strings.Replace(standardRealm, "token {", "token {\nupload_grace off", 1))
	if a := g.do("PUT", path, "data", token); a.StatusCode != 401 {
		t.Errorf("switched off: %d", a.StatusCode)
	}
}
