package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bcrypt12 is what `htpasswd -B -C 12` made of "password".
const bcrypt12 = "$2y$12$GCRnHQyqzuLwZOjipIogh.SB9L2EYzNTAQC85JvxUOLz5SDAKMnbO"

// The loads that passwords are measured with, in requests per second.
const (
	passwordRate = 200  // of a person, or of a robot
	floodRate    = 1000 // of wrong passwords
)

// benchPasswords measures what a person's slow hash costs when every request
// carries the password, and what a flood of wrong passwords does to robots. The
// gateway has all processors, as in service; so have those who load it.
func benchPasswords(o options) error {
	g, secret, err := startPeople(o)
	if err != nil {
		return err
	}
	defer g.stop()
	person := &load{url: g.url(), rate: passwordRate, user: "alice", password: func(int) string { return "password" }}
	robot := &load{url: g.url(), rate: passwordRate, user: "robot-ci", password: func(int) string { return secret }}

	for robot.once(0).status == http.StatusServiceUnavailable { // until the state is there
		time.Sleep(50 * time.Millisecond)
	}
	first := time.Now()
	if r := person.once(0); r.status != 200 {
		return fmt.Errorf("the person is answered %d", r.status)
	}
	fmt.Printf("%-30s first request %s (bcrypt, cost 12)\n", "htpasswd, "+strconv.Itoa(passwordRate)+" req/s", time.Since(first).Round(time.Millisecond))
	before := g.cpu()
	m := person.run(2 * o.duration)
	if m.statuses[200] != m.count {
		return fmt.Errorf("the person is answered %v", m.statuses)
	}
	spent := (g.cpu() - before).Seconds() / m.took.Seconds()
	fmt.Printf("%-30s p50 %8s  p99 %8s  %.3f processors\n", "", m.quantile(50), m.quantile(99), spent)

	var idle, flooded []time.Duration
	var busy []float64 // processors while flooded
	var answers string
	for range o.pairs {
		quiet := robot.run(o.duration)
		out, flood, err := startFlood(o, g)
		if err != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond)
		before := g.cpu()
		loud := robot.run(o.duration)
		busy = append(busy, (g.cpu()-before).Seconds()/loud.took.Seconds())
		if err := flood.Wait(); err != nil {
			return fmt.Errorf("flood: %w", err)
		}
		for _, m := range []*measured{quiet, loud} {
			if m.statuses[200] != m.count {
				return fmt.Errorf("the robot is answered %v", m.statuses)
			}
		}
		answers = out.String()
		idle, flooded = append(idle, quiet.quantile(99)), append(flooded, loud.quantile(99))
	}
	ratios := make([]float64, len(idle))
	for i := range idle {
		ratios[i] = flooded[i].Seconds() / idle[i].Seconds()
	}
	slices.Sort(ratios)
	slices.Sort(idle)
	slices.Sort(flooded)
	slices.Sort(busy)
	fmt.Printf("%-30s robots' p99 idle %s, flooded %s, median of paired ratios %.2f, %.2f processors; %s\n", "wrong passwords, "+strconv.Itoa(floodRate)+"/s",
		idle[len(idle)/2], flooded[len(flooded)/2], ratios[len(ratios)/2], busy[len(busy)/2], answers)

	// The flood comes from here, too: another account of the same address.
	_, flood, err := startFlood(o, g)
	if err != nil {
		return err
	}
	time.Sleep(500 * time.Millisecond)
	other := &load{url: g.url(), user: "bob", password: func(int) string { return "password" }}
	began := time.Now()
	r := other.once(0)
	fmt.Printf("%-30s a colleague's first request during the flood: %d after %s\n", "", r.status, time.Since(began).Round(time.Millisecond))
	return flood.Wait()
}

func (s *server) url() string { return "http://" + s.address + "/v2/team/app/manifests/v1" }

func (s *server) stop() {
	_ = s.process.Process.Signal(os.Interrupt)
	_ = s.process.Wait()
}

// startPeople starts a gateway with two people and a robot.
func startPeople(o options) (*server, string, error) {
	file := filepath.Join(o.dir, "users")
	if err := os.WriteFile(file, []byte("alice:"+bcrypt12+"\nbob:"+bcrypt12+"\n"), 0o600); err != nil {
		return nil, "", err
	}
	upstream, err := listenUpstream()
	if err != nil {
		return nil, "", err
	}
	secret, hash := newRobot()
	g, err := caddyOn("", o, "people", fmt.Sprintf(`registry_auth {
		service registry
		audit %s
		htpasswd %s
		project team/** {
			guest user:alice user:bob
			robot ci pull push {
				secret_hash %s
			}
		}
	}`, o.audit, file, hash), upstream)
	return g, secret, err
}

// startFlood starts a process that shows wrong passwords, each another one.
func startFlood(o options, g *server) (fmt.Stringer, *exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(self, "-flood", g.url(), "-duration", (o.duration + time.Second).String())
	out := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	return out, cmd, cmd.Start()
}

// flood is what that process does.
func flood(url string, d time.Duration) {
	l := &load{url: url, rate: floodRate, user: "alice", password: func(i int) string { return "guess-" + strconv.Itoa(i) }}
	m := l.run(d)
	fmt.Printf("%d guesses answered with %v", m.count, m.statuses)
}

func basicAuth(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}
