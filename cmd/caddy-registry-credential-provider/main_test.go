package main

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
)

func token(claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(claims)) + "." + encode([]byte("signature"))
}

func TestAnswer(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	expires := func(in time.Duration) string { return token(fmt.Sprintf(`{"exp":%d}`, now.Add(in).Unix())) }
	for name, test := range map[string]struct {
		image, token   string
		registry, keep string
	}{
		"an hour":         {"registry.example.com/acme/app:1", expires(time.Hour), "registry.example.com", "59m0s"},
		"a day":           {"registry.example.com/acme/app@sha256:00", expires(24 * time.Hour), "registry.example.com", "1h0m0s"},
		"with a port":     {"registry.example.com:5000/app", expires(2 * time.Minute), "registry.example.com:5000", "1m0s"},
		"nearly over":     {"localhost/app", expires(30 * time.Second), "localhost", "0s"},
		"without an end":  {"localhost:5000/app", token(`{}`), "localhost:5000", "0s"},
		"far in the past": {"r.test/app", token(`{"exp":-1}`), "r.test", "0s"},
		"far ahead":       {"r.test/app", token(`{"exp":1e300}`), "r.test", "0s"},
		"not a JWT":       {"r.test/app", "opaque", "r.test", "0s"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			in := fmt.Sprintf(`{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderRequest","image":%q,"serviceAccountToken":%q,"serviceAccountAnnotations":{"a":"b"}}`, test.image, test.token)
			if err := answer(strings.NewReader(in), &out, now); err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf(`{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderResponse","cacheKeyType":"Registry","cacheDuration":%q,"auth":{%q:{"username":"kubernetes","password":%q}}}`+"\n", test.keep, test.registry, test.token)
			if out.String() != want {
				t.Errorf("got  %swant %s", out.String(), want)
			}
		})
	}
}

func TestAnswerErrors(t *testing.T) {
	const secret = "header.secret-of-the-pod.signature"
	request := func(version, kind, image, token string) string {
		return fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"image":%q,"serviceAccountToken":%q}`, version, kind, image, token)
	}
	for name, test := range map[string]struct{ in, want string }{
		"nothing":           {"", "not JSON"},
		"half":              {request(apiVersion, requestKind, "r.test/app", secret)[:60], "not JSON"},
		"another version":   {request("credentialprovider.kubelet.k8s.io/v1alpha1", requestKind, "r.test/app", secret), "v1alpha1"},
		"another kind":      {request(apiVersion, "Pod", "r.test/app", secret), `"Pod"`},
		"no token":          {request(apiVersion, requestKind, "r.test/app", ""), "no serviceAccountToken"},
		"no host":           {request(apiVersion, requestKind, "acme/app", secret), "registry's host"},
		"no repository":     {request(apiVersion, requestKind, "r.test", secret), "registry's host"},
		"endless":           {strings.Repeat(" ", maxRequest+10), "longer than"},
		"token of no shape": {`{"apiVersion":"` + apiVersion + `","kind":"` + requestKind + `","image":"r.test/a","serviceAccountToken":["` + secret + `"]}`, "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := answer(strings.NewReader(test.in), &out, time.Now())
			if err == nil || !strings.Contains(err.Error(), test.want) || out.Len() > 0 {
				t.Fatalf("%v, want %q; answered %q", err, test.want, out.String())
			}
			if strings.Contains(err.Error(), "secret-of-the-pod") {
				t.Error("the token is in the error")
			}
		})
	}
}
