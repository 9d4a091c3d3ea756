package authn

import (
	"errors"
	"strings"
	"testing"
)

func TestNewSecret(t *testing.T) {
	seen := map[string]bool{}
	for _, kind := range []SecretKind{SecretRobot, SecretPersonalToken, SecretIdentityToken, SecretAPIKey} {
		for range 50 {
			secret, stored := NewSecret(kind)
			if len(secret) != secretLength || !strings.HasPrefix(secret, string(kind)+"_") || seen[secret] {
				t.Fatalf("secret %q", secret)
			}
			seen[secret] = true
			parsed, err := ParseSecret(secret)
			if err != nil || parsed.Kind != kind {
				t.Fatalf("parsed %v, %v", parsed, err)
			}
			h, err := ParseHash(stored)
			if err != nil {
				t.Fatal(err)
			}
			if h.ID() != parsed.ID || h.Slow() || !h.Matches(secret) || h.stored() != stored {
				t.Errorf("hash %q of %q", stored, secret)
			}
			if h.Matches(secret+"x") || h.Matches(stored) || h.Matches("") {
				t.Error("hash matches another secret")
			}
			if strings.ContainsAny(stored+secret, " $'\"\\{}#`;&|<>*?!()") {
				t.Errorf("%q is not safe in a shell", stored)
			}
		}
	}
}

func TestParseSecret(t *testing.T) {
	good, _ := NewSecret(SecretRobot)
	flip := func(i int) string {
		c := byte('0')
		if good[i] == c {
			c = '1'
		}
		return good[:i] + string(c) + good[i+1:]
	}
	for _, test := range []struct {
		name, secret string
		err          error
	}{
		{"empty", "", ErrNotMine},
		{"password", "hunter2", ErrNotMine},
		{"prefix alone", "craro", ErrNotMine},
		{"other prefix", "ghp_" + good[6:], ErrNotMine},
		{"other case", strings.ToUpper(good), ErrNotMine},
		{"short", good[:len(good)-1], ErrInvalid},
		{"long", good + "a", ErrInvalid},
		{"wrong id", flip(7), ErrInvalid},
		{"wrong random part", flip(30), ErrInvalid},
		{"wrong checksum", flip(len(good) - 1), ErrInvalid},
		{"upper case id", good[:6] + strings.ToUpper("abcdefghijkl") + good[18:], ErrInvalid},
		{"separator in random part", good[:25] + "_" + good[26:], ErrInvalid},
		{"other kind, same checksum", string(SecretAPIKey) + good[5:], ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := ParseSecret(test.secret); !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v", err, test.err)
			} else if test.secret != "" && strings.Contains(err.Error(), test.secret) {
				t.Error("error shows the secret")
			}
		})
	}
}

func FuzzParseSecret(f *testing.F) {
	good, _ := NewSecret(SecretPersonalToken)
	f.Add(good)
	f.Add("craro___")
	f.Add("crapt_aaaaaaaaaaaa_" + strings.Repeat("a", 43) + "_aaaaaa")
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := ParseSecret(s)
		if err != nil {
			return
		}
		body, sum := s[:len(s)-7], s[len(s)-6:]
		if want := checksum(body); len(s) != secretLength || string(want[:]) != sum || !strings.HasPrefix(s, string(parsed.Kind)+"_"+parsed.ID+"_") {
			t.Fatalf("accepted %q as %v", s, parsed)
		}
	})
}

func TestDeriveSecret(t *testing.T) {
	parent, _ := NewSecret(SecretIdentityToken)
	parsed, err := ParseSecret(parent)
	if err != nil {
		t.Fatal(err)
	}
	derive := func(from, seed string) string {
		secret, stored := DeriveSecret(SecretIdentityToken, parsed.ID, from, []byte(seed))
		if got, err := ParseSecret(secret); err != nil || got != parsed {
			t.Errorf("%v, %v", got, err)
		}
		if h, err := ParseHash(stored); err != nil || !h.Matches(secret) {
			t.Errorf("the stored form: %v", err)
		}
		return secret
	}
	first := derive(parent, "seed")
	if first != derive(parent, "seed") {
		t.Error("it is not always the same")
	}
	other, _ := RenewSecret(SecretIdentityToken, parsed.ID)
	for _, different := range []string{parent, derive(parent, "another"), derive(other, "seed"), derive(first, "seed")} {
		if first == different {
			t.Error("two are the same")
		}
	}
}
