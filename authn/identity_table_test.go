package authn

import (
	"crypto/x509"
	"strings"
	"testing"
)

// TestPatternsOfCertificatesAreWhole: they are about all of a name, so that
// nobody is taken for somebody whose name is a part of theirs.
func TestPatternsOfCertificatesAreWhole(t *testing.T) {
	for _, test := range []struct {
		match, name, called string
		want                string // "": nobody
	}{
		{"ci", "ci", "", "ci"},
		{"ci", "xci", "", ""},
		{"ci", "cix", "", ""},
		{"ci", "x\nci", "", ""},
		{"ci", "ci\n", "", ""},
		{"^ci", "cix", "", ""},
		{"^ci|x", "ci", "", "ci"},
		{"^ci|x", "cix", "", ""},
		{"*.ci", "a.ci", "$1", "a"},
		{"*.ci", ".ci", "$1", ""},
		{"**.ci", "a\nb.ci", "x", "x"},
		{"*-*", "a-b", "$2$1$3$0$", "ba$3$0$"},
		{"c.i", "cxi", "", ""},
	} {
		rule, err := CertificateIdentity{Source: "common_name", Match: test.match, Name: test.called}.compile()
		if err != nil {
			if test.called == "$2$1$3$0$" { // $3 is refused where there are two
				continue
			}
			t.Fatal(err)
		}
		got, _, ok := rule.names(clientCertificate(t, func(c *x509.Certificate) { c.Subject.CommonName = test.name }))
		if ok != (test.want != "") || got != test.want {
			t.Errorf("%s and %q: %q, %v", test.match, test.name, got, ok)
		}
	}
	nobody := certificateRule{source: "common_name"}
	if _, _, ok := nobody.names(clientCertificate(t, func(c *x509.Certificate) { c.Subject.CommonName = "" })); ok {
		t.Error("a certificate without a name is somebody's")
	}
	if got := references("$1 $9 $0 $: $/ $"); len(got) != 2 || got[0] != 1 || got[1] != 9 {
		t.Errorf("refers to %v", got)
	}
}

// TestIdentitiesAreOfOneKind: a subject is a user's only, and no two parts make
// one.
func TestIdentitiesAreOfOneKind(t *testing.T) {
	seen := map[string]string{}
	for name, p := range map[string]*Principal{
		"nobody": nil, "a user": {Kind: KindUser, Name: "a"}, "a robot": {Kind: KindRobot, Name: "a"}, "a robot with a subject": {Kind: KindRobot, Name: "b", Subject: "a"},
		"a subject": {Kind: KindUser, Name: "a", Subject: "s"}, "of an issuer": {Kind: KindUser, Name: "a", Issuer: "i", Subject: "s"}, "of another": {Kind: KindUser, Name: "a", Issuer: "is", Subject: "s"},
		"cut elsewhere": {Kind: KindUser, Name: "a", Issuer: "i", Subject: "ss"}, "a workload": {Kind: KindWorkload, Name: "a"},
	} {
		id := p.Identity().ID()
		if other, twice := seen[id]; twice {
			t.Errorf("%s is %s", name, other)
		}
		seen[id] = name
	}
	renamed := &Principal{Kind: KindUser, Name: "b", Issuer: "i", Subject: "s"}
	if (&Principal{Kind: KindUser, Name: "a", Issuer: "i", Subject: "s"}).Identity() != renamed.Identity() {
		t.Error("a user is somebody else by another name")
	}
	if (&Principal{Kind: KindRobot, Name: "a", Subject: "s"}).Identity() == (&Principal{Kind: KindRobot, Name: "b", Subject: "s"}).Identity() {
		t.Error("robots are the same by what is no subject")
	}
	longest := strings.Repeat("a", maxUsername)
	for name, want := range map[string][2]bool{ // of a user, of a workload
		"a": {true, true}, longest: {true, true}, longest + "a": {false, false}, "": {false, false}, "a\ufffd": {false, true}, "a\xff": {false, false}, "a b": {false, true}, "a\nb": {false, false},
		"a:b": {false, true}, "robot$a": {false, true}, "Robot$a": {false, true}, "a,b": {false, true},
	} {
		if got := [2]bool{CheckName(KindUser, name) == nil, CheckName(KindWorkload, name) == nil}; got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}
