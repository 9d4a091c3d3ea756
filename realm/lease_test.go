package realm

import "testing"

func TestLeaseIsReleasedOnceByTheLast(t *testing.T) {
	released := 0
	l := newLease(func() { released++ })
	if !l.acquire() {
		t.Fatal("a fresh lease cannot be taken")
	}
	l.done() // the configuration goes
	if released != 0 {
		t.Fatal("released while a request runs")
	}
	l.done() // the request ends
	if released != 1 {
		t.Fatalf("released %d times", released)
	}
	if l.acquire() {
		t.Fatal("a released lease was taken")
	}
}

func BenchmarkLease(b *testing.B) {
	l := newLease(func() {})
	for b.Loop() {
		l.acquire()
		l.done()
	}
}
