package authn

import (
	"strings"
	"testing"
)

// The hashes were made by htpasswd -nbm, htpasswd -nbs and openssl passwd -apr1.
func TestLegacyHash(t *testing.T) {
	for _, test := range []struct{ stored, password string }{
		{"$apr1$sFh8doMg$Ihrpg.j.8Ut9PvsW2nal/1", "correct horse"},
		{"$apr1$abcdefgh$DWdepAaaac77CPX4iXFub0", "a much longer password than sixteen bytes ä"},
		{"$apr1$ab$eIePjsejfBGR8ITtu2z0U1", "x"},
		{"{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=", "correct horse"},
	} {
		h, err := parseLegacyHash(test.stored)
		if err != nil {
			t.Errorf("%s: %v", test.stored, err)
			continue
		}
		if !h.Matches(test.password) {
			t.Errorf("%s: the right password does not match", test.stored)
		}
		for _, wrong := range []string{"", test.password + "x", test.stored, strings.Repeat("x", 4096)} {
			if h.Matches(wrong) {
				t.Errorf("%s: %.20q matches", test.stored, wrong)
			}
		}
	}
	for _, broken := range []string{
		"$apr1$", "$apr1$ab", "$apr1$$eIePjsejfBGR8ITtu2z0U1", "$apr1$abcdefghi$eIePjsejfBGR8ITtu2z0U1", "$apr1$ab$eIePjsejfBGR8ITtu2z0U",
		"$apr1$ab$eIePjsejfBGR8ITtu2z0U!", "{SHA}", "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A", "{SHA}AAAA", "{SHA}L55TUjtiq8FBorTWAZ0jy6g129B=",
	} {
		if h, err := parseLegacyHash(broken); err == nil {
			t.Errorf("%s is accepted as %T", broken, h)
		}
	}
}
