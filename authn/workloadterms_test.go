package authn

import (
	"encoding/json"
	"errors"
	"net/netip"
	"testing"
)

// The principal of a workload that acts as a robot is that robot.
func TestWorkloadAsRobot(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	m := requireSub("release", "repo:corp/**")
	m.As = "robot:deployer"
	a := provider.workload(t, clock, m)
	p := works(t, a, key.sign(nil, provider.jobClaims(clock.now(), nil)), nil)
	if p.String() != "robot:deployer" || p.Subject == "" || p.Issuer != provider.URL {
		t.Errorf("principal %+v", p)
	}
	if err := a.Recheck(p, &Credential{}); err != nil {
		t.Error(err)
	}
	itself := provider.workload(t, clock, requireSub("deployer", "repo:corp/**"))
	if err := itself.Recheck(p, &Credential{}); !errors.Is(err, ErrDisabled) {
		t.Errorf("a workload of the robot's name: %v", err)
	}
	for _, as := range []string{"deployer", "user:alice", "robot:", "robot:Upper", "robot$x", "workload:x"} {
		m.As = as
		if err := (WorkloadConfig{Issuer: provider.URL, Mappings: []WorkloadMapping{m}}).Validate(nil); err == nil {
			t.Errorf("as %s was taken", as)
		}
	}
}

// A registry token carries what its workload had to meet, and is refused once
// anything of it has changed.
func TestWorkloadTermsEndTokens(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	mapping := func(change func(*WorkloadMapping)) WorkloadMapping {
		m := requireSub("ci", "repo:corp/**")
		change(&m)
		return m
	}
	same := mapping(func(*WorkloadMapping) {})
	before := provider.workload(t, clock, same)
	job := works(t, before, key.sign(nil, provider.jobClaims(clock.now(), nil)), nil)

	raw, err := json.Marshal(NewRegistryPrincipal(job))
	if err != nil {
		t.Fatal(err)
	}
	var carried RegistryPrincipal
	if err := json.Unmarshal(raw, &carried); err != nil {
		t.Fatal(err)
	}
	p := (&RegistryClaims{Principal: &carried}).principal()
	if err := provider.workload(t, clock, requireSub("first", "x"), same).Recheck(p, &Credential{}); err != nil {
		t.Errorf("another workload came before it: %v", err)
	}
	for name, change := range map[string]func(*WorkloadMapping){
		"another value":    func(m *WorkloadMapping) { m.Require[0].Values = []string{"repo:corp/app:**"} },
		"one value more":   func(m *WorkloadMapping) { m.Require[0].Values = append(m.Require[0].Values, "x") },
		"one claim more":   func(m *WorkloadMapping) { m.Require = append(m.Require, ClaimRequirement{"ref", []string{"x"}}) },
		"another audience": func(m *WorkloadMapping) { m.Audiences = []string{"registry.other"} },
		"another age":      func(m *WorkloadMapping) { m.MaxAge = Duration(1e9) },
		"single use":       func(m *WorkloadMapping) { m.SingleUse = true },
		"a robot":          func(m *WorkloadMapping) { m.As = "robot:ci" },
		"another name":     func(m *WorkloadMapping) { m.Name = "other" },
	} {
		if err := provider.workload(t, clock, mapping(change)).Recheck(p, &Credential{}); !errors.Is(err, ErrDisabled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAdmitRobot(t *testing.T) {
	_, stored := NewSecret(SecretRobot)
	_, stored2 := NewSecret(SecretRobot)
	robots, err := NewRobots([]RobotConfig{
		{Name: "off", SecretHashes: []string{stored}, Disabled: true},
		{Name: "near", SecretHashes: []string{stored2}, From: []string{"10.0.0.0/8"}},
	}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, from string
		want       error
	}{
		{"off", "10.0.0.1", ErrDisabled},
		{"near", "10.0.0.1", nil},
		{"near", "192.0.2.1", ErrForbiddenSource},
		{"unknown", "192.0.2.1", nil},
	} {
		if err := robots.AdmitRobot(test.name, netip.MustParseAddr(test.from)); !errors.Is(err, test.want) {
			t.Errorf("%s from %s: %v, want %v", test.name, test.from, err, test.want)
		}
	}
}
