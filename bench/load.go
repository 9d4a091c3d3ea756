package main

import (
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// load sends requests at a rate, whether those before are answered or not: a
// server that falls behind is not waited for.
type load struct {
	url, user string
	rate      int // per second
	password  func(i int) string
}

// sample is one answer; status 0 is none.
type sample struct {
	status int
	took   time.Duration
}

// measured is what came of a load.
type measured struct {
	count    int
	took     time.Duration
	statuses map[int]int
	times    []time.Duration
}

// run sends requests for a while.
func (l *load) run(d time.Duration) *measured {
	m := &measured{statuses: map[int]int{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	interval := time.Second / time.Duration(l.rate)
	began := time.Now()
	for i := 0; ; i++ {
		due := began.Add(time.Duration(i) * interval)
		if due.Sub(began) >= d {
			break
		}
		time.Sleep(time.Until(due))
		wg.Go(func() {
			s := l.once(i)
			mu.Lock()
			defer mu.Unlock()
			m.count++
			m.statuses[s.status]++
			m.times = append(m.times, s.took)
		})
	}
	wg.Wait()
	m.took = time.Since(began)
	slices.Sort(m.times)
	return m
}

// once sends one request. Its time runs from when it is sent.
func (l *load) once(i int) sample {
	r, err := http.NewRequest(http.MethodGet, l.url, nil)
	if err != nil {
		return sample{}
	}
	r.Header.Set("Authorization", basicAuth(l.user, l.password(i)))
	began := time.Now()
	response, err := keepAlive.Do(r)
	if err != nil {
		return sample{took: time.Since(began)}
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return sample{status: response.StatusCode, took: time.Since(began)}
}

// keepAlive keeps as many connections as a load needs.
var keepAlive = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2000}, Timeout: 30 * time.Second}

// quantile returns the time that so many per cent of the answers took at most.
func (m *measured) quantile(percent int) time.Duration {
	return m.times[min(len(m.times)*percent/100, len(m.times)-1)].Round(time.Microsecond)
}
