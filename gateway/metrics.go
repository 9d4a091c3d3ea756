package gateway

import (
	"math/bits"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
)

var (
	decisionsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "registry_auth", Name: "decisions_total",
		Help: "Registry requests by realm, action and outcome.",
	}, []string{"realm", "action", "outcome"})
	tokensTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "registry_auth", Name: "token_requests_total",
		Help: "Requests to the token endpoint by realm and outcome.",
	}, []string{"realm", "outcome"})
	tokenSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "caddy", Subsystem: "registry_auth", Name: "token_duration_seconds",
		Help:    "Time to answer a request to the token endpoint.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .05, .1, .5, 1, 5},
	}, []string{"realm"})
)

// realmMetrics are a realm's counters, looked up once: the labels are bounded
// by the configuration, never by what clients send.
type realmMetrics struct {
	decisions [7][outcomes]prometheus.Counter // by position of the action's bit, 0 for none
	tokens    [outcomes]prometheus.Counter
	duration  prometheus.Observer
}

func newRealmMetrics(ctx caddy.Context, realm string) (*realmMetrics, error) {
	if err := process.Show(ctx, decisionsTotal, tokensTotal, tokenSeconds); err != nil {
		return nil, err
	}
	m := &realmMetrics{duration: tokenSeconds.WithLabelValues(realm)}
	for o := range outcomes {
		m.tokens[o] = tokensTotal.WithLabelValues(realm, o.String())
		for i := range m.decisions {
			action := "none"
			if i > 0 {
				action = authz.Action(1 << (i - 1)).String()
			}
			m.decisions[i][o] = decisionsTotal.WithLabelValues(realm, action, o.String())
		}
	}
	return m, nil
}

func (m *realmMetrics) decision(a authz.Action, o outcome) {
	m.decisions[bits.Len8(uint8(a))][o].Inc()
}

func (m *realmMetrics) token(o outcome, took time.Duration) {
	m.tokens[o].Inc()
	m.duration.Observe(took.Seconds())
}
