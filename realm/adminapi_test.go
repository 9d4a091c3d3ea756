package realm

import "testing"

// TestRunningApps: while a configuration is replaced the later one counts, and
// the earlier one again if that cannot start.
func TestRunningApps(t *testing.T) {
	var l runningApps
	a, b := new(App), new(App)
	for i, step := range []struct {
		do   func(*App)
		app  *App
		want *App
	}{{l.remove, a, nil}, {l.add, a, a}, {l.add, b, b}, {l.remove, b, a}, {l.add, b, b}, {l.remove, a, b}, {l.remove, b, nil}} {
		if step.do(step.app); l.current() != step.want {
			t.Errorf("step %d: %p, want %p", i, l.current(), step.want)
		}
	}
}
