package upstream

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script writes a program.
func script(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrograms(t *testing.T) {
	const ecr = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
	for name, x := range map[string]struct {
		text, format string
		want         Login
		err          error
		says         string
	}{
		"docker": {
			text: `[ "$*" = "--quiet get" ] && [ "$(cat)" = "` + ecr + `" ] && echo '{"ServerURL":"x","Username":"AWS","Secret":"s3"}'`,
			want: Login{Username: "AWS", Password: "s3"},
		},
		"docker, identity token": {text: `echo '{"Username":"<token>","Secret":"s3"}'`, want: Login{IdentityToken: "s3"}},
		"docker, none":           {text: `echo credentials not found in native keychain; exit 1`, err: ErrRefused, says: "has no login for " + ecr},
		"docker, broken":         {text: `echo SECRET; echo no network >&2; exit 1`, err: ErrUnavailable, says: `"no network"`},
		"docker, no JSON":        {text: `echo hello SECRET`, err: ErrUnavailable, says: "no login in JSON"},
		"docker, no secret":      {text: `echo '{"Username":"AWS"}'`, err: ErrUnavailable, says: "no login in JSON"},
		"docker, endless":        {text: `head -c 3000000 /dev/zero`, err: ErrUnavailable, says: "more than"},
		"kubelet": {
			format: FormatKubelet,
			text: `grep -q '"image":"` + ecr + `"' && echo '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","cacheDuration":"6h",
				"auth":{"*.dkr.ecr.*.amazonaws.com":{"username":"AWS","password":"s3"},"*.*.*.*.*.com":{"username":"no","password":"no"},"other.example":{"username":"no","password":"no"}}}'`,
			want: Login{Username: "AWS", Password: "s3"},
		},
		"kubelet, none":    {format: FormatKubelet, text: `cat >/dev/null; echo '{"kind":"CredentialProviderResponse","auth":{"other.example":{}}}'`, err: ErrRefused, says: "has no login"},
		"kubelet, another": {format: FormatKubelet, text: `cat >/dev/null; echo '{"kind":"Pod"}'`, err: ErrUnavailable, says: "no CredentialProviderResponse"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := NewProgram(ProgramConfig{Command: []string{script(t, "helper", x.text), "--quiet"}, Registry: ecr, Format: x.format}, nil)
			if err != nil {
				t.Fatal(err)
			}
			l, err := p.Login(t.Context())
			if l != x.want || !errors.Is(err, x.err) || err != nil && !strings.Contains(err.Error(), x.says) {
				t.Errorf("%+v %v", l, err)
			}
			if err != nil && strings.Contains(err.Error(), "SECRET") {
				t.Errorf("the output is in the error: %v", err)
			}
		})
	}
}

// TestProgramsAreAskedAgain: when their answer ends, and when it was refused.
func TestProgramsAreAskedAgain(t *testing.T) {
	c := newClock()
	count := filepath.Join(t.TempDir(), "count")
	path := script(t, "helper", fmt.Sprintf(`echo x >> %s; echo "{\"Username\":\"AWS\",\"Secret\":\"s$(wc -l < %s | tr -d ' ')\"}"`, count, count))
	p, err := NewProgram(ProgramConfig{Command: []string{path}, Registry: "r.example", Cache: time.Minute}, c.now)
	if err != nil {
		t.Fatal(err)
	}
	secret := func() string {
		l, err := p.Login(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return l.Password
	}
	for range 3 {
		if got := secret(); got != "s1" {
			t.Errorf("asked for every request: %s", got)
		}
	}
	c.advance(time.Minute)
	if got := secret(); got != "s2" {
		t.Errorf("after a minute: %s", got)
	}
	p.Forget(Login{Username: "AWS", Password: "s1"})
	if got := secret(); got != "s2" {
		t.Errorf("after another was refused: %s", got)
	}
	p.Forget(Login{Username: "AWS", Password: "s2"})
	if got := secret(); got != "s2" {
		t.Errorf("run again although it has just answered: %s", got)
	}
	c.advance(refusedFor)
	p.Forget(Login{Username: "AWS", Password: "s2"})
	if got := secret(); got != "s3" {
		t.Errorf("after it was refused: %s", got)
	}
}

func TestProgramSettingsAreChecked(t *testing.T) {
	for _, x := range []struct {
		c    ProgramConfig
		want string
	}{
		{ProgramConfig{Registry: "r"}, "the program is missing"},
		{ProgramConfig{Command: []string{"/no/such"}, Registry: "r"}, "no such file"},
		{ProgramConfig{Command: []string{"true"}}, "registry"},
		{ProgramConfig{Command: []string{"true"}, Registry: "r", Format: "x"}, "format"},
		{ProgramConfig{Command: []string{"true"}, Registry: "r", Cache: 48 * time.Hour}, "cache"},
	} {
		if _, err := NewProgram(x.c, nil); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%+v: %v", x.c, err)
		}
	}
}

func TestImagesMatchAsTheKubeletMatchesThem(t *testing.T) {
	for _, x := range []struct {
		pattern, image string
		want           bool
	}{
		{"r.example", "r.example", true},
		{"r.example", "r.example/team", true},
		{"r.example/team", "r.example", false},
		{"r.example/team", "r.example/team", true},
		{"*.example", "r.example", true},
		{"*.example", "a.r.example", false},
		{"*.io", "registry.k8s.io", false},
		{"r*.example", "r1.example", true},
		{"r*r.example", "r.example", false},
		{"https://r.example/", "r.example", true},
		{"r.example:5000", "r.example:5000", true},
		{"r.example:5000", "r.example:5001", false},
	} {
		if got := matchesImage(x.pattern, x.image); got != x.want {
			t.Errorf("%s, %s: %t", x.pattern, x.image, got)
		}
	}
}

func TestFilesAreReadAgain(t *testing.T) {
	c := newClock()
	path := filepath.Join(t.TempDir(), "login")
	write := func(text string) {
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := NewFile(FileConfig{Path: path}, c.now); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	write("me:secret:1\n")
	f, err := NewFile(FileConfig{Path: path}, c.now)
	if err != nil {
		t.Fatal(err)
	}
	login := func() Login {
		l, err := f.Login(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := login(); l != (Login{Username: "me", Password: "secret:1"}) {
		t.Errorf("%+v", l)
	}
	write("me:secret:2\n")
	c.advance(lookEvery)
	eventually(t, "the new password", func() bool { return login().Password == "secret:2" })
	write("me:secret:3\n")
	f.Forget(Login{Username: "me", Password: "secret:2"})
	if l := login(); l.Password != "secret:3" {
		t.Errorf("after the one before was refused: %+v", l)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	c.advance(time.Hour)
	if l := login(); l.Password != "secret:3" {
		t.Errorf("without the file: %+v", l)
	}
	write("nothing")
	c.advance(keepFile)
	if _, err := f.Login(t.Context()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "nothing") {
		t.Errorf("%v", err)
	}
	write("secret")
	alone, err := NewFile(FileConfig{Path: path, Username: "me"}, c.now)
	if err != nil {
		t.Fatal(err)
	}
	if l, err := alone.Login(t.Context()); err != nil || l != (Login{Username: "me", Password: "secret"}) {
		t.Errorf("%+v %v", l, err)
	}
}

func TestDockerConfigurations(t *testing.T) {
	helper := script(t, "docker-credential-test", `echo "{\"Username\":\"h\",\"Secret\":\"$(cat)\"}"`)
	t.Setenv("PATH", filepath.Dir(helper)+":"+os.Getenv("PATH"))
	auth := base64.StdEncoding.EncodeToString([]byte("me:secret"))
	for name, x := range map[string]struct {
		text, registry string
		want           Login
		says           string
	}{
		"auth":               {`{"auths":{"ghcr.io":{"auth":"` + auth + `"}}}`, "ghcr.io", Login{Username: "me", Password: "secret"}, ""},
		"Docker Hub":         {`{"auths":{"https://index.docker.io/v1/":{"auth":"` + auth + `"}}}`, "https://index.docker.io/v1/", Login{Username: "me", Password: "secret"}, ""},
		"with a scheme":      {`{"auths":{"https://ghcr.io":{"auth":"` + auth + `"}}}`, "ghcr.io", Login{Username: "me", Password: "secret"}, ""},
		"user and password":  {`{"auths":{"ghcr.io":{"username":"me","password":"secret"}}}`, "ghcr.io", Login{Username: "me", Password: "secret"}, ""},
		"identity token":     {`{"auths":{"ghcr.io":{"auth":"` + auth + `","identitytoken":"i"}}}`, "ghcr.io", Login{IdentityToken: "i"}, ""},
		"registry token":     {`{"auths":{"ghcr.io":{"registrytoken":"r"}}}`, "ghcr.io", Login{Bearer: "r"}, ""},
		"another registry":   {`{"auths":{"quay.io":{"auth":"` + auth + `"}}}`, "ghcr.io", Login{}, "has no login for ghcr.io"},
		"an empty one":       {`{"auths":{"ghcr.io":{}}}`, "ghcr.io", Login{}, "has no login for ghcr.io"},
		"a helper":           {`{"credHelpers":{"ghcr.io":"test"},"credsStore":"none"}`, "ghcr.io", Login{Username: "h", Password: "ghcr.io"}, ""},
		"the store":          {`{"credsStore":"test","auths":{"ghcr.io":{"auth":"` + auth + `"}}}`, "ghcr.io", Login{Username: "h", Password: "ghcr.io"}, ""},
		"a helper elsewhere": {`{"credHelpers":{"ghcr.io":"../x"}}`, "ghcr.io", Login{}, "is no name"},
		"no such helper":     {`{"credHelpers":{"ghcr.io":"nonesuch"}}`, "ghcr.io", Login{}, "docker-credential-nonesuch"},
		"no JSON":            {`auths:`, "ghcr.io", Login{}, "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(x.text), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("DOCKER_CONFIG", dir)
			f, err := NewDockerConfig(DockerConfig{Registry: x.registry}, nil)
			if err != nil {
				t.Fatal(err)
			}
			l, err := f.Login(t.Context())
			if l != x.want || (err == nil) != (x.says == "") || err != nil && (!strings.Contains(err.Error(), x.says) || !errors.Is(err, ErrRefused)) {
				t.Errorf("%+v %v", l, err)
			}
		})
	}
	if _, err := NewDockerConfig(DockerConfig{}, nil); err == nil {
		t.Error("without a registry")
	}
}
