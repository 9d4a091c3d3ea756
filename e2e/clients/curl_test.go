package clients

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// curlCase is one request of curl and what must, and must not, come back.
type curlCase struct {
	name string
	args []string // the last one is the path
	// status line, header lines and body are searched for these.
	want, unwanted []string
}

// TestCurl checks the answers that clients build on, word for word.
func TestCurl(t *testing.T) {
	onEachRegistry(t, func(t *testing.T, s *stage.Stage) {
		process.Need(t, "curl")
		sh := newShell(t, s)
		bearer := func(login string, scopes ...string) string {
			token, err := s.Token(t.Context(), login, scopes...)
			if err != nil {
				t.Fatal(err)
			}
			return "Authorization: Bearer " + token
		}
		ci := s.Robots["ci"].Secret
		layer := upstream.Digest(s.Images["team/app:x"].Layers[0])
		foreign := upstream.Digest(s.Images["other/app:x"].Layers[0])
		idToken, err := s.IDToken("bob")
		if err != nil {
			t.Fatal(err)
		}
		challenge := `Bearer realm="` + s.URL + `/v2/token",service="` + stage.Service + `"`
		insufficient := `,error="insufficient_scope"`
		invalid := `,error="invalid_token"`

		for _, c := range []curlCase{
			{
				"ping",
				[]string{"/v2/"},
				[]string{" 401 ", "Www-Authenticate: " + challenge + "\r\n", "Docker-Distribution-Api-Version: registry/2.0", "Content-Type: application/json", `"code":"UNAUTHORIZED"`},
				nil,
			},
			{
				"ping without slash",
				[]string{"/v2"},
				[]string{" 401 ", "Www-Authenticate: " + challenge + "\r\n"},
				[]string{"Location:"},
			},
			{
				"ping with HEAD",
				[]string{"--head", "/v2/"},
				[]string{" 401 ", "Www-Authenticate: " + challenge},
				[]string{"errors"},
			},
			{
				"ping with a wrong password",
				[]string{"-u", "robot-ci:wrong", "/v2/"},
				[]string{" 401 ", challenge + invalid, "UNAUTHORIZED"},
				nil,
			},
			{
				"ping with a token",
				[]string{"-H", bearer("robot-ci"), "/v2/"},
				[]string{" 200 ", "Docker-Distribution-Api-Version: registry/2.0"},
				[]string{"Www-Authenticate"},
			},
			{"ping with an anonymous token", []string{"-H", bearer("", "repository:pub/app:pull"), "/v2/"}, []string{" 200 "}, nil},
			{"anonymous pull", []string{"/v2/pub/app/manifests/x"}, []string{" 200 ", "Docker-Content-Digest: sha256:"}, nil},
			{
				"anonymous pull of a private image",
				[]string{"/v2/team/app/manifests/x"},
				[]string{" 401 ", challenge + `,scope="repository:team/app:pull"` + "\r\n"},
				[]string{"error="},
			},
			{
				"anonymous pull of what is not there",
				[]string{"/v2/team/nothing/manifests/x"},
				[]string{" 401 ", challenge + `,scope="repository:team/nothing:pull"` + "\r\n"},
				nil,
			},
			{
				"anonymous push",
				[]string{"-X", "POST", "/v2/pub/app/blobs/uploads/"},
				[]string{" 401 ", `scope="repository:pub/app:pull,push"`},
				nil,
			},
			{
				"anonymous mount",
				[]string{"-X", "POST", "/v2/team/app/blobs/uploads/?mount=" + layer + "&from=other/app"},
				[]string{" 401 ", `scope="repository:team/app:pull,push repository:other/app:pull"`},
				nil,
			},
			{
				"anonymous delete",
				[]string{"-X", "DELETE", "/v2/team/app/manifests/" + layer},
				[]string{" 401 ", `scope="repository:team/app:delete"`},
				nil,
			},
			{
				"token of too small a scope",
				[]string{"-H", bearer("robot-ci", "repository:team/app:pull"), "-X", "POST", "/v2/team/app/blobs/uploads/"},
				[]string{" 401 ", `scope="repository:team/app:pull,push"` + insufficient, "DENIED"},
				nil,
			},
			{
				"broken token",
				[]string{"-H", bearer("robot-ci") + "AAAA", "/v2/team/app/tags/list"},
				[]string{" 401 ", challenge, invalid, "UNAUTHORIZED"},
				nil,
			},
			{
				"ID token without the right",
				[]string{"-H", "Authorization: Bearer " + idToken, "/v2/team/secret/tags/list"},
				[]string{" 403 ", `"code":"DENIED"`},
				[]string{"secret-tag-x"},
			},
			{
				"ID token without the right, nothing there",
				[]string{"-H", "Authorization: Bearer " + idToken, "/v2/team/nothing/tags/list"},
				[]string{" 403 ", `"code":"DENIED"`},
				nil,
			},
			{"robot secret as password", []string{"-u", "robot$ci:" + ci, "/v2/team/app/tags/list"}, []string{" 200 ", `"x"`}, nil},
			{"bad name", []string{"-u", "robot-ci:" + ci, "/v2/team/UPPER/tags/list"}, []string{" 400 ", "NAME_INVALID"}, nil},
			{"bad digest", []string{"-u", "robot-ci:" + ci, "/v2/team/app/blobs/sha256:abc"}, []string{" 400 ", "DIGEST_INVALID"}, nil},
			{"unknown route", []string{"-u", "robot-ci:" + ci, "/v2/team/app/unknown/x"}, []string{" 404 ", `"errors"`}, nil},
			{"unusual method", []string{"-u", "robot-ci:" + ci, "-X", "PROPFIND", "/v2/team/app/tags/list"}, []string{" 405 ", "UNSUPPORTED"}, nil},
			{"form body", []string{"-u", "robot-ci:" + ci, "-d", "mount=" + layer, "/v2/team/app/blobs/uploads/"}, []string{" 415 ", `"errors"`}, nil},
			{"other path", []string{"/index.html"}, []string{" 404 "}, nil},
			{"range", []string{"-u", "robot-ci:" + ci, "-r", "0-3", "/v2/team/app/blobs/" + layer}, []string{" 206 ", "Content-Range: bytes 0-3/"}, nil},
			{"mount", []string{"-u", "robot-ci:" + ci, "-X", "POST", "/v2/team/base/blobs/uploads/?mount=" + layer + "&from=team/app"}, []string{" 201 "}, nil},
			{
				"forbidden mount",
				[]string{"-u", "robot-ci:" + ci, "-X", "POST", "/v2/team/app/blobs/uploads/?mount=" + foreign + "&from=other/app"},
				[]string{" 202 ", "Location: "},
				nil,
			},
			{"mount without source", []string{"-u", "robot-ci:" + ci, "-X", "POST", "/v2/team/app/blobs/uploads/?mount=" + foreign}, []string{" 202 "}, nil},

			{
				"token",
				[]string{"-u", "robot-ci:" + ci, "/v2/token?service=" + stage.Service + "&scope=repository:team/app:pull"},
				[]string{" 200 ", `"token":"`, `"access_token":"`, `"expires_in":300`, "Cache-Control: no-store"},
				[]string{"issued_at", "refresh_token", "Set-Cookie"},
			},
			{
				"token by POST",
				[]string{"-d", "grant_type=password&username=robot-ci&password=" + ci + "&client_id=curl&service=" + stage.Service + "&scope=repository:team/app:pull", "/v2/token"},
				[]string{" 200 ", `"access_token":"`, `"scope":"repository:team/app:pull"`},
				nil,
			},
			{
				"token with a wrong password",
				[]string{"-u", "robot-ci:wrong", "/v2/token?service=" + stage.Service + "&scope=repository:pub/app:pull"},
				[]string{" 401 ", `"errors"`, "UNAUTHORIZED"},
				[]string{`"token"`},
			},
			{"anonymous token", []string{"/v2/token?service=" + stage.Service + "&scope=repository:pub/app:pull"}, []string{" 200 ", `"token":"`}, nil},
			{"key set", []string{"/v2/token/jwks"}, []string{" 200 ", `"keys":[`, `"kty":"EC"`}, []string{`"d":`}},
		} {
			t.Run(c.name, func(t *testing.T) {
				last := len(c.args) - 1
				args := append([]string{"-isS", "--max-time", "10"}, c.args[:last]...)
				out, err := sh.run("curl", append(args, s.URL+c.args[last])...)
				if err != nil {
					t.Fatal(err)
				}
				expect(t, out, c.want, c.unwanted)
				if n := strings.Count(strings.ToLower(out), "www-authenticate:"); n > 1 {
					t.Errorf("%d challenges in\n%s", n, out)
				}
			})
		}
	})
}

// expect looks for what must and what must not be in an answer.
func expect(t *testing.T, answer string, want, unwanted []string) {
	t.Helper()
	for _, text := range want {
		if !strings.Contains(answer, text) {
			t.Errorf("no %q in\n%s", text, answer)
		}
	}
	for _, text := range unwanted {
		if strings.Contains(answer, text) {
			t.Errorf("%q in\n%s", text, answer)
		}
	}
}

// TestUpstreamAnswers makes the registry answer as no registry should be seen
// to by clients.
func TestUpstreamAnswers(t *testing.T) {
	process.Need(t, "docker-registry", "curl")
	s := sharedStage(t, upstream.Distribution2)
	sh := newShell(t, s)
	for _, c := range []struct {
		name           string
		answer         http.HandlerFunc
		want, unwanted []string
	}{
		{"its own challenge", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="inner"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
		}, []string{" 502 ", `"errors"`}, []string{"inner", "who are you"}},
		{"a redirect to storage", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://storage.example/blob?signature=x")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, []string{" 307 ", "Location: https://storage.example/blob?signature=x"}, nil},
		{"a location inside", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", s.Recorder.URL+"/v2/pub/app/blobs/uploads/1?_state=x")
			w.WriteHeader(http.StatusAccepted)
		}, []string{" 202 ", "/v2/pub/app/blobs/uploads/1?_state=x"}, []string{s.Recorder.URL}},
		{"a failure", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}, []string{" 503 "}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.Recorder.Fake(c.answer)
			t.Cleanup(func() { s.Recorder.Fake(nil) })
			out, err := sh.run("curl", "-isS", "--max-time", "10", "-u", "robot-dev:"+s.Robots["dev"].Secret, s.URL+"/v2/pub/app/tags/list")
			if err != nil {
				t.Fatal(err)
			}
			expect(t, out, c.want, c.unwanted)
		})
	}
}

// TestLargeBlob pushes and pulls 256 MiB: the gateway must stream them.
func TestLargeBlob(t *testing.T) {
	process.Need(t, "docker-registry", "curl")
	s := sharedStage(t, upstream.Distribution2)
	sh := newShell(t, s)
	blob := make([]byte, 256<<20)
	if err := os.WriteFile(sh.path("blob"), blob, 0o600); err != nil {
		t.Fatal(err)
	}
	digest := upstream.Digest(blob)
	credential := "robot-ci:" + s.Robots["ci"].Secret
	client := &upstream.Client{URL: s.URL, Authorization: stage.Basic("robot-ci", s.Robots["ci"].Secret)}
	before, err := s.Gateway.RSS()
	if err != nil {
		t.Fatal(err)
	}
	location, err := client.OpenUpload(t.Context(), "team/large")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := sh.run("curl", "-sSf", "-u", credential, "-T", sh.path("blob"), "-H", "Content-Type: application/octet-stream",
		location.String()+"&digest="+digest); err != nil {
		t.Fatal(out, err)
	}
	if out, err := sh.run("curl", "-sSf", "-u", credential, "-o", sh.path("back"), s.URL+"/v2/team/large/blobs/"+digest); err != nil {
		t.Fatal(out, err)
	}
	back, err := os.ReadFile(sh.path("back"))
	if err != nil {
		t.Fatal(err)
	}
	if got := upstream.Digest(back); got != digest {
		t.Errorf("pulled %s, pushed %s", got, digest)
	}
	after, err := s.Gateway.RSS()
	if err != nil {
		t.Fatal(err)
	}
	if grown := after - before; grown > 64<<20 {
		t.Errorf("the gateway grew by %d MiB", grown>>20)
	}
}
