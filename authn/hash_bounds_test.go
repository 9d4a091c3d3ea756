package authn

import (
	"fmt"
	"strings"
	"testing"
)

// TestHashesAtTheirBounds: what a stored hash may ask us to spend, to the unit.
func TestHashesAtTheirBounds(t *testing.T) {
	salt := func(n int) string { return strings.Repeat("AAAA", n/3) + []string{"", "AA", "AAA"}[n%3] }
	argon := func(parameters string, saltBytes, keyBytes int) string {
		return fmt.Sprintf("$argon2id$v=19$%s$%s$%s", parameters, salt(saltBytes), salt(keyBytes))
	}
	for text, want := range map[string]bool{
		argon("m=8,t=1,p=1", 8, 32):                           true,
		argon("m=7,t=1,p=1", 8, 32):                           false,
		argon("m=128,t=1,p=16", 8, 32):                        true,
		argon("m=127,t=1,p=16", 8, 32):                        false,
		argon("m=136,t=1,p=17", 8, 32):                        false,
		argon("m=8,t=32,p=1", 8, 32):                          true,
		argon("m=8,t=33,p=1", 8, 32):                          false,
		argon("m=262144,t=4,p=1", 8, 32):                      true,
		argon("m=262144,t=5,p=1", 8, 32):                      false,
		argon("m=262145,t=1,p=1", 8, 32):                      false,
		argon("m=8,t=1", 8, 32):                               false,
		argon("m=8,t=1,p=1,x=1", 8, 32):                       false,
		argon("t=1,m=8,p=1", 8, 32):                           false,
		argon("8,1,1", 8, 32):                                 false,
		argon("m=8,t=x,p=1", 8, 32):                           false,
		argon("m=8,t=1,p=1", 7, 32):                           false,
		argon("m=8,t=1,p=1", 64, 32):                          true,
		argon("m=8,t=1,p=1", 65, 32):                          false,
		argon("m=8,t=1,p=1", 8, 16):                           true,
		argon("m=8,t=1,p=1", 8, 15):                           false,
		argon("m=8,t=1,p=1", 8, 64):                           true,
		argon("m=8,t=1,p=1", 8, 65):                           false,
		argon("m=8,t=1,p=1", 8, 32) + "!":                     false,
		"$argon2id$v=19$m=8,t=1,p=1$!!!!!!!!!!!!$" + salt(32): false,
		"$argon2id$m=8,t=1,p=1$" + salt(8) + "$" + salt(32):   false,
		"$2b$16$" + strings.Repeat("a", 53):                   true,
		"sha256:abcdefghijk:" + strings.Repeat("A", 43):       false,
		"sha256:abcdefghijkl:" + strings.Repeat("A", 43):      true,
		"sha256:abcdefghijkl:" + strings.Repeat("A", 42):      false,
		"sha256:abcdefghijkl:" + strings.Repeat("A", 46):      false,
		"sha256:abcdefghijk!:" + strings.Repeat("A", 43):      false,
	} {
		if _, err := ParseHash(text); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]bool{
		"$apr1$abcdefgh$" + strings.Repeat("a", 22): true, "$apr1$abcdefghi$" + strings.Repeat("a", 22): false, "$apr1$ab$" + strings.Repeat("a", 23): false,
		"$apr1$" + strings.Repeat("a", 22): false, "$apr1$a!$" + strings.Repeat("a", 22): false,
	} {
		if _, err := parseLegacyHash(text); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestLongSecretsShareNoHash: what lies beyond that which is hashed is not left
// unread.
func TestLongSecretsShareNoHash(t *testing.T) {
	long := strings.Repeat("a", maxAPR1Secret)
	apr := apr1Hash(apr1(long, "ab"))
	if !apr.Matches(long) || apr.Matches(long+"b") || !apr.Slow() || !shaHash("{SHA}").unsalted() {
		t.Error("an APR1 hash is of the first bytes only")
	}
	h, err := ParseHash(quickBcrypt(t, strings.Repeat("a", maxBcryptSecret)))
	if err != nil {
		t.Fatal(err)
	}
	if h.Matches(strings.Repeat("a", maxBcryptSecret) + "b") {
		t.Error("a bcrypt hash is of the first bytes only")
	}
	secret, stored := NewSecret(SecretRobot)
	if got, err := HashSecret(secret); err != nil || got != stored {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := HashSecret(secret[:len(secret)-1] + "!"); err == nil {
		t.Error("a broken secret has a hash")
	}
	if got, err := HashSecret("correct horse"); err != nil || !strings.HasPrefix(got, "$argon2id$") {
		t.Errorf("%s, %v", got, err)
	}
	if id := HashID(h); !strings.HasPrefix(id, "pw-") {
		t.Errorf("id %s", id)
	}
	ours, err := ParseHash(stored)
	if err != nil || HashID(ours) != ours.ID() {
		t.Errorf("id %s, %v", HashID(ours), err)
	}
}
