package clients

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// startCounterparts starts side by side what takes its time.
func (m *matrix) startCounterparts() {
	m.t.Helper()
	m.providers = make([]*idp.Certified, 3)
	errs := make([]error, len(m.providers)+1)
	var started sync.WaitGroup
	for i := range m.providers {
		dir := m.t.TempDir()
		started.Go(func() { m.providers[i], errs[i] = idp.StartCertified(m.t.Context(), dir) })
	}
	dir := m.t.TempDir()
	started.Go(func() { m.directory, errs[len(m.providers)] = startCrowdedDirectory(m.t.Context(), dir) })
	started.Wait()
	m.t.Cleanup(func() {
		for _, p := range m.providers {
			if p != nil {
				p.Stop()
			}
		}
		if m.directory != nil {
			m.directory.Stop()
		}
	})
	must(m.t, errors.Join(errs...))
}

// provider is one that no other row has.
func (m *matrix) provider() *idp.Certified {
	p := m.providers[0]
	m.providers = append(m.providers[1:], p)
	return p
}

const matrixSite = `
ADDRESS {
	bind 127.0.0.1
	TLS_LINES
	registry_auth {
		realm NAME
		public_url ADDRESS
		service SERVICE
		BLOCK
		token {
			path /v2/token /token
		}
		project team/** {
			maintainer authenticated
			robot ci pull push {
				secret_hash {env.ROBOT_HASH}
			}
		}
		other_paths deny
	}
	reverse_proxy REGISTRY
}
`

// matrixOptions let what is large through to the gateway's own limits.
const matrixOptions = `	auto_https off
	servers {
		max_header_size 4MiB
	}`

const matrixTLS = `tls %SERVER_TLS% {
		client_auth {
			mode verify_if_given
			trust_pool file %CA_FILE%
		}
	}`

// start starts the gateway of some rows.
func (m *matrix) start(rows []*row, tail string) *gateway.Gateway {
	m.t.Helper()
	for _, r := range rows {
		r.certs, r.robot = m.certs, aRobot
		if r.timeout == 0 {
			r.timeout = 2 * time.Second
		}
		if r.url == "" {
			r.url = fmt.Sprintf("http://127.0.0.1:%d", m.port())
		}
	}
	config := m.config(rows, tail)
	config.ReadyURL = rows[0].url + "/v2/"
	g, err := gateway.Start(context.Background(), config)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		for _, fault := range g.Log.Faults(0) {
			m.t.Error("gateway log:", fault)
		}
		for _, line := range g.Log.Since(0) {
			if strings.Contains(line, "in case of fire") || strings.Contains(line, robotSecret) || strings.Contains(line, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx") {
				m.t.Errorf("a secret is in the log: %.400s", line)
				break
			}
		}
		if err := g.Stop(); err != nil {
			m.t.Error(err)
		}
	})
	for _, r := range rows {
		r.gateway = g
	}
	return g
}

func (m *matrix) config(rows []*row, tail string) gateway.Config {
	var sites strings.Builder
	for _, r := range rows {
		tls := ""
		if r.tls {
			tls = matrixTLS
		}
		sites.WriteString(strings.NewReplacer("ADDRESS", r.url, "TLS_LINES", tls, "NAME", r.name, "BLOCK", r.block,
			"SERVICE", stage.Service, "REGISTRY", m.registry).Replace(matrixSite))
	}
	sites.WriteString(tail)
	text := sites.String()
	for term, value := range m.terms {
		text = strings.ReplaceAll(text, term, value)
	}
	return gateway.Config{
		Global: matrixOptions,
		Sites:  text,
		Env:    []string{"ROBOT_HASH=" + robotStored, "EXCHANGE_SECRET=" + exchangeSecret, "LDAP_PASSWORD=" + directoryPassword, "SERVICE_KEY=" + serviceKey},
	}
}

// reload changes the terms of the second gateway and reloads it.
func (m *matrix) reload(t *testing.T, changes map[string]string) {
	t.Helper()
	for term, value := range changes {
		m.terms[term] = value
	}
	if err := m.declared.Reload(t.Context(), m.config(m.rows, m.tail)); err != nil {
		t.Fatal(err)
	}
}

func (m *matrix) port() int {
	m.t.Helper()
	port, err := process.FreePort()
	if err != nil {
		m.t.Fatal(err)
	}
	return port
}
