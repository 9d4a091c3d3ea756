// Command caddy-registry-credential-provider is a plugin of the kubelet
// (KEP-2133, KEP-4412): it turns the service account token of a pod into the
// login with which the pod's images are pulled from a gateway. No secret is
// kept in the cluster or on the node. It needs no network and no configuration
// of its own; the kubelet says for which images it is asked.
//
//	kubelet --image-credential-provider-config=/etc/kubernetes/credential-provider.yaml \
//	        --image-credential-provider-bin-dir=/usr/local/lib/kubelet
package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

func main() {
	if err := answer(os.Stdin, os.Stdout, time.Now()); err != nil {
		fmt.Fprintln(os.Stderr, "caddy-registry-credential-provider:", err)
		os.Exit(1)
	}
}

// The API in which the kubelet asks and is answered
// (credentialprovider.kubelet.k8s.io/v1).
const (
	apiVersion   = "credentialprovider.kubelet.k8s.io/v1"
	requestKind  = "CredentialProviderRequest"
	responseKind = "CredentialProviderResponse"
)

// request is what the kubelet asks. Fields of later versions are not refused.
type request struct {
	APIVersion          string `json:"apiVersion"`
	Kind                string `json:"kind"`
	Image               string `json:"image"`
	ServiceAccountToken string `json:"serviceAccountToken"`
}

// response is what it is told.
type response struct {
	APIVersion    string           `json:"apiVersion"`
	Kind          string           `json:"kind"`
	CacheKeyType  string           `json:"cacheKeyType"`
	CacheDuration string           `json:"cacheDuration"`
	Auth          map[string]login `json:"auth"`
}

type login struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

const (
	// username is only a hint: the token says who it is.
	username = "kubernetes"
	// maxRequest bounds what is read, in bytes.
	maxRequest = 1 << 20
	// spare is how long before its end a token is not used any more.
	spare = time.Minute
	// maxCache bounds how long the kubelet keeps a login. Whether it is good
	// is decided again with each use.
	maxCache = time.Hour
)

// answer reads a request and writes the response. Errors never contain the
// token: they end in the kubelet's log.
func answer(in io.Reader, out io.Writer, now time.Time) error {
	body, err := io.ReadAll(io.LimitReader(in, maxRequest+1))
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	if len(body) > maxRequest {
		return fmt.Errorf("the request is longer than %d bytes", maxRequest)
	}
	var r request
	if err := json.Unmarshal(body, &r); err != nil {
		return errors.New("the request is not JSON")
	}
	registry, err := r.check()
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(response{
		APIVersion: apiVersion, Kind: responseKind,
		CacheKeyType: "Registry", CacheDuration: lifetime(r.ServiceAccountToken, now).String(),
		Auth: map[string]login{registry: {username, r.ServiceAccountToken}},
	})
}

// check returns the registry's host, with its port if it has one.
func (r *request) check() (string, error) {
	switch {
	case r.APIVersion != apiVersion || r.Kind != requestKind:
		return "", fmt.Errorf("want a %s of %s, got a %.64q of %.64q", requestKind, apiVersion, r.Kind, r.APIVersion)
	case r.ServiceAccountToken == "":
		return "", errors.New("the request has no serviceAccountToken: tokenAttributes are missing in the kubelet's configuration of this provider, or the kubelet is older than 1.33")
	}
	registry, _, ok := strings.Cut(r.Image, "/")
	if !ok || registry != "localhost" && !strings.ContainsAny(registry, ".:") {
		return "", fmt.Errorf("the image %.256q does not begin with a registry's host", r.Image)
	}
	return registry, nil
}

// lifetime is how long a token may be kept, in whole seconds; 0 if it does not
// say. It is not verified here: a wrong answer makes a login fail, no more.
func lifetime(token string, now time.Time) time.Duration {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return 0
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return 0
	}
	var claims struct {
		Expires float64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Expires <= 0 || claims.Expires > 1e11 {
		return 0
	}
	left := time.Unix(int64(claims.Expires), 0).Sub(now) - spare
	return max(0, min(left, maxCache)).Truncate(time.Second)
}
