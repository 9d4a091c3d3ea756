package realm

import (
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
)

// showMetrics makes the realm's metrics visible.
func showMetrics(ctx caddy.Context) error {
	return process.Show(ctx, managementTotal, rechecksTotal, &watched)
}

// managementTotal counts the requests to the management API: done, or the code
// of the problem that they were answered with.
var managementTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: "caddy", Subsystem: "registry_auth", Name: "management_requests_total",
	Help: "Requests to the management API by realm and outcome.",
}, []string{"realm", "outcome"})

// rechecksTotal counts the questions to identity providers about the people
// who signed in.
var rechecksTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: "caddy", Subsystem: "registry_auth", Name: "rechecks_total",
	Help: "Questions to identity providers whether people are still there, by realm and outcome.",
}, []string{"realm", "outcome"})

// watched shows the states of all realms as metrics.
var watched stateMetrics

// stateMetrics looks at states when it is asked: nothing is counted along with
// requests.
type stateMetrics struct {
	mu     sync.Mutex
	states []*sharedState // those started last at the end
}

// show adds the state of a realm. While requests of an old configuration still
// have another one, the last is shown.
func (m *stateMetrics) show(s *sharedState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.states = append(slices.DeleteFunc(m.states, func(x *sharedState) bool { return x == s }), s)
}

// hide takes a state out that nobody uses any more.
func (m *stateMetrics) hide(s *sharedState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.states = slices.DeleteFunc(m.states, func(x *sharedState) bool { return x == s })
}

func (m *stateMetrics) byRealm() map[string]*sharedState {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[string]*sharedState{}
	for _, s := range m.states {
		found[s.realm] = s
	}
	return found
}

var (
	storeUp = describe("store_up",
		"1 while the store can be reached and its changes come in, 0 while the gateway goes on with what it knows.", "realm")
	storeSequence = describe("store_sequence",
		"Number of the last change that came in from the store: the same on all gateways that share it.", "realm")
	storeChanged = describe("store_last_change_timestamp_seconds",
		"When the last change came in from the store, or when it was opened.", "realm")
	storedRecords = describe("stored_records",
		"Records in the store by kind.", "realm", "kind")
	expiringRecords = describe("expiring_records",
		"Stored robots, tokens and keys that are good now and end within seven days.", "realm", "kind")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName("caddy", "registry_auth", name), help, labels, nil)
}

// Describe implements [prometheus.Collector].
func (m *stateMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{storeUp, storeSequence, storeChanged, storedRecords, expiringRecords} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *stateMetrics) Collect(to chan<- prometheus.Metric) {
	for realm, shared := range m.byRealm() {
		gauge := func(d *prometheus.Desc, value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{realm}, labels...)...)
		}
		live := shared.state.Load()
		if live == nil {
			gauge(storeUp, 0)
			continue
		}
		health, up := live.Health(), 0.
		if health.Ready {
			up = 1
		}
		gauge(storeUp, up)
		gauge(storeSequence, float64(health.Sequence))
		gauge(storeChanged, float64(health.Changed.UnixMilli())/1000)
		for _, c := range live.Census() {
			gauge(storedRecords, float64(c.Records), c.Kind)
			if c.Expires {
				gauge(expiringRecords, float64(c.Expiring), c.Kind)
			}
		}
	}
}
