package registryauth_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestForwardedRequestIsCanonicalAndClean(t *testing.T) {
	g := startGateway(t, standardRealm+"upstream_auth basic gateway s3cret\n")
	robot := basic("robot$ci", g.robot)
	spoofed := []string{
		"X-Registry-User", "X-Forwarded-User", "X-Forwarded-Groups", "X-Forwarded-Uri", "X-Forwarded-Prefix", "X-Original-Url",
		"X-Rewrite-Url", "X-Real-Ip", "X-Remote-User", "Remote-User", "Remote-Groups", "Proxy", "Forwarded", "X-Http-Method-Override",
		"X-Token-Claims", "X-Forwarded-Client-Cert", "Cookie", "Upgrade", "Proxy-Authorization", "Ssl-Client-Cert",
	}
	options := []option{robot, header("Range", "bytes=0-3"), header("Oci-Subject", "x"), header("Accept", "application/vnd.oci.image.manifest.v1+json")}
	for _, name := range spoofed {
		options = append(options, header(name, "evil"))
	}
	options = append(options, header("Connection", "close, Authorization, X-Forwarded-Host"))
	digest := "sha256:" + strings.Repeat("a", 64)
	a := g.do("GET", "/v2/team/app/blobs/"+strings.Replace(digest, ":", "%3A", 1), "", options...)
	if a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	seen := g.upstream.seen()
	if len(seen) != 1 {
		t.Fatalf("upstream saw %d requests", len(seen))
	}
	r := seen[0]
	if r.RequestURI != "/v2/team/app/blobs/"+digest {
		t.Errorf("forwarded as %s", r.RequestURI)
	}
	for _, name := range spoofed {
		if v := r.Header.Get(name); v == "evil" {
			t.Errorf("header %s reached the registry", name)
		}
	}
	if user, password, _ := r.BasicAuth(); user != "gateway" || password != "s3cret" {
		t.Errorf("upstream credential %q", r.Header.Get("Authorization"))
	}
	for _, name := range []string{"Range", "Oci-Subject", "Accept"} {
		if r.Header.Get(name) == "" {
			t.Errorf("header %s was lost", name)
		}
	}
}

func TestUpstreamAuth(t *testing.T) {
	t.Setenv("REGISTRY_TOKEN", "tok")
	for setting, want := range map[string]string{
		"":                   "",
		"upstream_auth none": "",
		"upstream_auth bearer {env.REGISTRY_TOKEN}": "Bearer tok",
	} {
		t.Run(setting, func(t *testing.T) {
			g := startGateway(t, standardRealm+setting+"\n")
			g.do("GET", manifest, "", basic("robot$ci", g.robot))
			seen := g.upstream.seen()
			if len(seen) != 1 || seen[0].Header.Get("Authorization") != want {
				t.Fatalf("registry saw %d requests, credential %q, want %q", len(seen), seen[0].Header.Get("Authorization"), want)
			}
		})
	}
	t.Run("passthrough", func(t *testing.T) {
		g := startGateway(t, standardRealm+"upstream_auth passthrough\n")
		token := g.token("repository:team/app:pull", basic("robot$ci", g.robot))
		g.do("GET", manifest, "", bearer(token))
		if seen := g.upstream.seen(); len(seen) != 1 || seen[0].Header.Get("Authorization") != "Bearer "+token {
			t.Fatal("the token did not reach the registry")
		}
	})
}

func TestMissingSecretFailsClosed(t *testing.T) {
	g := startGateway(t, standardRealm)
	for _, setting := range []string{"upstream_auth bearer {env.NO_SUCH_VARIABLE}", "upstream_auth basic u {file./no/such/file}"} {
		if err := g.tryLoad(standardRealm + setting + "\n"); err == nil {
			t.Errorf("%s: loaded", setting)
		}
	}
}

func TestRegistryChallengeNeverReachesClients(t *testing.T) {
	g := startGateway(t, standardRealm)
	g.upstream.respond(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		w.Header().Set("Set-Cookie", "a=b")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte("give me your password"))
	})
	a := g.do("GET", manifest, "", basic("robot$ci", g.robot))
	if a.StatusCode != http.StatusBadGateway || a.Header.Get("WWW-Authenticate") != "" || a.Header.Get("Set-Cookie") != "" || strings.Contains(a.body, "password") {
		t.Fatalf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	if a.code() != "UNAVAILABLE" {
		t.Errorf("code %q", a.code())
	}
	if lines := g.logLines("the registry asks the gateway to sign in: configure upstream_auth, or switch the registry's own authentication off"); len(lines) != 1 {
		t.Errorf("%d log lines", len(lines))
	}
}

func TestUploadLocationStaysHere(t *testing.T) {
	g := startGateway(t, standardRealm)
	const relative = "/v2/team/app/blobs/uploads/u1?_state=a%2Fb"
	for location, want := range map[string]string{
		relative:                                 relative,
		"http://internal:5000" + relative:        relative,
		"http://registry.test" + relative:        "http://registry.test" + relative,
		"https://storage.example/bucket?sig=abc": "https://storage.example/bucket?sig=abc",
	} {
		g.upstream.respond(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusAccepted)
		})
		a := g.do("POST", "/v2/team/app/blobs/uploads/", "", basic("robot$ci", g.robot))
		if got := a.Header.Get("Location"); got != want {
			t.Errorf("Location %s\n got %s\nwant %s", location, got, want)
		}
	}
}

func TestMountFromForbiddenRepositoryGoesOnWithoutIt(t *testing.T) {
	g := startGateway(t, standardRealm)
	robot := basic("robot$ci", g.robot)
	digest := "sha256:" + strings.Repeat("a", 64)
	for query, want := range map[string]string{
		"?mount=" + digest + "&from=team/base":          "?mount=" + digest + "&from=team/base",
		"?mount=" + digest + "&from=other/app":          "",
		"?mount=" + digest:                              "",
		"?mount=" + digest + "&from=other/app&ns=x.com": "?ns=x.com",
	} {
		g.do("POST", "/v2/team/app/blobs/uploads/"+query, "", robot)
		seen := g.upstream.seen()
		if len(seen) != 1 || seen[0].RequestURI != "/v2/team/app/blobs/uploads/"+want {
			t.Errorf("%s was forwarded as %v", query, seen)
		}
	}
}

func TestUnreachableRegistry(t *testing.T) {
	g := startGateway(t, standardRealm)
	g.upstream.Close()
	a := g.do("GET", manifest, "", basic("robot$ci", g.robot))
	if a.StatusCode != http.StatusBadGateway || a.code() != "UNAVAILABLE" || a.Header.Get("Retry-After") == "" {
		t.Fatalf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
}

func TestOtherPaths(t *testing.T) {
	g := startGateway(t, standardRealm)
	if a := g.do("GET", "/ui/index.html", ""); a.StatusCode != 200 {
		t.Errorf("pass: %d", a.StatusCode)
	}
	g.load(standardRealm + "other_paths deny\n")
	if a := g.do("GET", "/debug/vars", ""); a.StatusCode != 404 || len(g.upstream.seen()) != 1 {
		t.Errorf("deny: %d", a.StatusCode)
	}
}
