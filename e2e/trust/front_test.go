package trust

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// proxyAddr is the address from which a proxy in front connects. The gateway
// trusts it and no other, so that clients of the proxy are strangers.
const proxyAddr = "127.0.0.5"

// front runs a proxy in front of a scene: a program with a configuration in
// which LISTEN is the port to listen on, DIR a folder of its own and GATEWAY
// the gateway's address. It returns the base URL.
func front(t *testing.T, program, configuration string, arguments func(file string) []string) string {
	t.Helper()
	process.Need(t, program)
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "configuration")
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	text := os.Expand(configuration, func(name string) string {
		switch name {
		case "PORT":
			return fmt.Sprint(port)
		case "DIR":
			return dir
		}
		return "$" + name // a variable of the program's own
	})
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path, arguments(file)...)
	command.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	started, err := process.Start(program, command, filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = started.Stop() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := started.Ready(ctx, process.Answers(url+"/v2/")); err != nil {
		t.Fatal(err)
	}
	return url
}

// nginx runs a real nginx whose server block has lines.
func nginx(t *testing.T, s *scene, outside, lines string) string {
	t.Helper()
	return front(t, "nginx", fmt.Sprintf(`
daemon off;
user root;
worker_processes 1;
pid ${DIR}/pid;
error_log ${DIR}/errors;
events {}
http {
	access_log off;
	client_body_temp_path ${DIR}/body;
	proxy_temp_path ${DIR}/proxied;
	fastcgi_temp_path ${DIR}/fastcgi;
	uwsgi_temp_path ${DIR}/uwsgi;
	scgi_temp_path ${DIR}/scgi;
	%s
	server {
		listen 127.0.0.1:${PORT};
		location / {
			proxy_pass http://%s;
			proxy_bind %s;
			proxy_http_version 1.1;
			%s
		}
	}
}
`, outside, s.Addr, proxyAddr, lines), func(file string) []string { return []string{"-c", file} })
}

const trustsProxy = `{
	servers {
		trusted_proxies static ` + proxyAddr + `
	}
}
`

// inside lets a robot in from the company's network only.
const inside = `http://ADDR {
	registry_auth {
		service registry.test
		management {
			api_key test {env.ADMIN_KEY}
		}
		project team/** {
			robot ci pull push {
				secret_hash {env.CI_HASH}
				from 10.0.0.0/8
			}
		}
	}
	reverse_proxy UPSTREAM
}`

// TestClientsDoNotChooseTheirAddress: what a client writes into
// X-Forwarded-For is not its address, behind each of the proxies that append
// to the header, with Caddy's own setting as it comes.
func TestClientsDoNotChooseTheirAddress(t *testing.T) {
	secret, hash := stage.NewSecret()
	s := start(t, trustsProxy+inside, nil, "CI_HASH="+hash)
	program, err := gateway.Build()
	if err != nil {
		t.Fatal(err)
	}
	for name, start := range map[string]func(t *testing.T) string{
		"nginx": func(t *testing.T) string {
			return nginx(t, s, "", "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;")
		},
		"HAProxy": func(t *testing.T) string {
			return front(t, "haproxy", fmt.Sprintf(`
global
	maxconn 100
defaults
	mode http
	timeout connect 5s
	timeout client 5s
	timeout server 5s
frontend in
	bind 127.0.0.1:${PORT}
	default_backend gateway
backend gateway
	option forwardfor
	source %s
	server gateway %s
`, proxyAddr, s.Addr), func(file string) []string { return []string{"-W", "-db", "-f", file} })
		},
		// A balancer that adds itself to what a trusted edge said.
		"Caddy": func(t *testing.T) string {
			return front(t, program, fmt.Sprintf(`{
	admin off
	servers {
		trusted_proxies static 127.0.0.1/32
	}
}
http://127.0.0.1:${PORT} {
	reverse_proxy %s {
		transport http {
			local_address %s
		}
	}
}`, s.Addr, proxyAddr), func(file string) []string {
				return []string{"run", "--config", file, "--adapter", "caddyfile"}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := start(t)
			s.Upstream.requests()
			for _, claim := range []string{"10.1.1.1", "10.1.1.1, 10.1.1.2", "10.1.1.1:1234", "[::ffff:10.1.1.1]"} {
				s.wants(http.StatusUnauthorized, "GET", url+"/v2/team/app/tags/list", "", basic("robot-ci", secret), "X-Forwarded-For: "+claim)
			}
			s.wants(http.StatusUnauthorized, "GET", url+"/v2/team/app/tags/list", "", basic("robot-ci", secret),
				"X-Forwarded-For: 10.1.1.1", "X-Forwarded-For: 10.1.1.2", "X-Real-Ip: 10.1.1.1", "Forwarded: for=10.1.1.1")
			if seen := s.Upstream.requests(); len(seen) > 0 {
				t.Errorf("%d requests reached the registry", len(seen))
			}
		})
	}
	t.Run("what the proxy says counts", func(t *testing.T) {
		url := nginx(t, s, "", "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For 10.1.1.1;")
		s.wants(http.StatusOK, "GET", url+"/v2/team/app/tags/list", "", basic("robot-ci", secret))
	})
}

// TestForwardedHostIsAHost: a proxy passes on what the client wrote there.
func TestForwardedHostIsAHost(t *testing.T) {
	_, hash := stage.NewSecret()
	s := start(t, trustsProxy+inside, nil, "CI_HASH="+hash)
	url := nginx(t, s, "", "proxy_set_header Host $http_host;")
	for _, host := range []string{`evil.example", error="x`, "evil.example/v2", "user@evil.example", "evil.example?x"} {
		res, _ := s.call("GET", url+"/v2/", "", "X-Forwarded-Host: "+host)
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %s %s", host, res.Status, res.Header.Get("Www-Authenticate"))
		}
	}
	res, _ := s.call("GET", url+"/v2/", "", "X-Forwarded-Proto: javascript")
	if got := res.Header.Get("Www-Authenticate"); res.StatusCode != http.StatusUnauthorized || got[:20] != `Bearer realm="http:/` {
		t.Errorf("%s %s", res.Status, got)
	}
}
