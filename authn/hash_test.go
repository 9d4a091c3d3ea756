package authn

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func quickBcrypt(t testing.TB, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

// quickArgon2 is "password" with the least memory.
const quickArgon2 = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$8Tf44YakA6Z5zNBgblq13Nr+Q8FkCFWsjG4z6b1j7rM"

func TestParseHash(t *testing.T) {
	good := quickBcrypt(t, "password")
	for _, variant := range []string{"$2a$", "$2b$", "$2y$"} {
		h, err := ParseHash(variant + good[4:])
		if err != nil {
			t.Fatal(err)
		}
		if !h.Slow() || !h.Matches("password") || h.Matches("Password") || h.Matches("") || h.Matches(good) {
			t.Errorf("%s does not tell passwords apart", variant)
		}
	}
	h, err := ParseHash(HashPassword("password"))
	if err != nil {
		t.Fatal(err)
	}
	if !h.Slow() || !h.Matches("password") || h.Matches("Password") || h.Matches("") || h.Matches(h.stored()) {
		t.Error("argon2id does not tell passwords apart")
	}
}

func TestParseHashRefuses(t *testing.T) {
	secret, stored := NewSecret(SecretRobot)
	for name, text := range map[string]string{
		"empty":                 "",
		"a secret":              secret,
		"a password":            "hunter2-hunter2",
		"md5 crypt":             "$1$abc$def",
		"argon2i":               strings.Replace(quickArgon2, "argon2id", "argon2i", 1),
		"sha256 without id":     "sha256:" + stored[20:],
		"sha256 short":          stored[:len(stored)-2],
		"sha256 padded":         stored + "=",
		"sha256 malleable":      stored[:len(stored)-1] + "_",
		"bcrypt cost 17":        "$2b$17$" + strings.Repeat("a", 53),
		"bcrypt cost 3":         "$2b$03$" + strings.Repeat("a", 53),
		"bcrypt short":          "$2b$10$aaa",
		"bcrypt long":           "$2b$10$" + strings.Repeat("a", 54),
		"argon2 version":        strings.Replace(quickArgon2, "v=19", "v=16", 1),
		"argon2 memory":         strings.Replace(quickArgon2, "m=8", "m=4294967295", 1),
		"argon2 memory, passes": strings.Replace(quickArgon2, "m=8,t=1", "m=262144,t=32", 1),
		"argon2 no memory":      strings.Replace(quickArgon2, "m=8", "m=0", 1),
		"argon2 no passes":      strings.Replace(quickArgon2, "t=1", "t=0", 1),
		"argon2 no threads":     strings.Replace(quickArgon2, "p=1", "p=0", 1),
		"argon2 threads":        strings.Replace(quickArgon2, "p=1", "p=255", 1),
		"argon2 negative":       strings.Replace(quickArgon2, "t=1", "t=-1", 1),
		"argon2 no salt":        strings.Replace(quickArgon2, "c29tZXNhbHQ", "", 1),
		"argon2 short":          quickArgon2[:50],
		"argon2 more":           quickArgon2 + "$a",
	} {
		t.Run(name, func(t *testing.T) {
			h, err := ParseHash(text)
			if err == nil {
				t.Fatalf("accepted as %T", h)
			}
			if len(text) > 10 && strings.Contains(err.Error(), text) {
				t.Errorf("error shows the text: %v", err)
			}
		})
	}
	if _, err := ParseHash(quickArgon2); err != nil {
		t.Errorf("the hash that the cases are made of: %v", err)
	}
}

// Go's bcrypt compares the first 72 bytes only.
func TestBcryptLongSecret(t *testing.T) {
	password := strings.Repeat("a", 72)
	h, err := ParseHash(quickBcrypt(t, password))
	if err != nil {
		t.Fatal(err)
	}
	if !h.Matches(password) || h.Matches(password+"WRONG") {
		t.Error("bytes after the 72nd are ignored")
	}
}
