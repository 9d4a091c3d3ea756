package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

const blobDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// server is one Caddy process.
type server struct {
	address string
	process *exec.Cmd
}

// servers are the two sides and the upstream they share.
type servers struct {
	bare, gate   *server
	basic, token string // credentials of robot ci
}

func start(o options) (*servers, error) {
	upstream, err := listenUpstream()
	if err != nil {
		return nil, err
	}
	secret, hash := newRobot()
	g := &servers{basic: base64.StdEncoding.EncodeToString([]byte("robot-ci:" + secret))}
	directive := fmt.Sprintf(`registry_auth {
		service registry
		audit %s
		project team/** {
			robot ci pull push {
				secret_hash %s
			}
		}
		project public/** {
			guest anyone
		}
	}`, o.audit, hash)
	if g.bare, err = caddy(o, "bare", "", upstream); err != nil {
		return nil, err
	}
	if g.gate, err = caddy(o, "gate", directive, upstream); err != nil {
		return nil, err
	}
	return g, g.getToken()
}

func newRobot() (secret, hash string) { return authn.NewSecret(authn.SecretRobot) }

// listenUpstream starts the upstream and returns its address.
func listenUpstream() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go serveUpstream(l)
	return l.Addr().String(), nil
}

// serveUpstream answers every request from memory: a small manifest, or 64
// MiB for blobs.
func serveUpstream(l net.Listener) {
	manifest, blob := []byte(strings.Repeat("m", 900)), make([]byte, 64<<20)
	_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := manifest
		if strings.Contains(r.URL.Path, "/blobs/") {
			body = blob
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		_, _ = w.Write(body)
	}))
}

// caddy starts one side on the second processor.
func caddy(o options, name, directive, upstream string) (*server, error) {
	return caddyOn("1", o, name, directive, upstream)
}

// caddyOn starts Caddy on one processor, or on all if none is named.
func caddyOn(cpu string, o options, name, directive, upstream string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{address: l.Addr().String()}
	l.Close()
	dir := filepath.Join(o.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	config := fmt.Sprintf("{\n\tadmin off\n\tpersist_config off\n\tstorage file_system %s\n\tlog {\n\t\toutput file %s/log\n\t}\n}\nhttp://%s {\n\t%s\n\treverse_proxy %s\n}\n", dir, dir, s.address, directive, upstream)
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	s.process = exec.Command(o.caddy, "run", "--config", file)
	if cpu != "" {
		s.process = pinned(cpu, o.caddy, "run", "--config", file)
	}
	s.process.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	if cpu != "" {
		s.process.Env = append(s.process.Env, "GOMAXPROCS=1")
	}
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	for range 200 {
		if c, err := net.Dial("tcp", s.address); err == nil {
			return s, c.Close()
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, fmt.Errorf("%s does not start", name)
}

// getToken asks for a registry token, waiting until the keys are there.
func (g *servers) getToken() error {
	url := "http://" + g.gate.address + "/v2/token?service=registry&scope=repository:team/app:pull"
	for range 100 {
		r, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Basic "+g.basic)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		var body struct{ Token string }
		err = json.NewDecoder(response.Body).Decode(&body)
		response.Body.Close()
		if err == nil && body.Token != "" {
			g.token = body.Token
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("no token from %s", url)
}

// stop ends both processes.
func (g *servers) stop() {
	for _, s := range []*server{g.bare, g.gate} {
		_ = s.process.Process.Signal(os.Interrupt)
		_ = s.process.Wait()
	}
}

// cpu is the processor time that the process has used.
func (s *server) cpu() time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}
