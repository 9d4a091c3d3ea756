package authn

import (
	"testing"
	"time"
)

// The tests of the OpenID Foundation's relying party profiles that concern an
// ID token, by their names. Those on nonce, at_hash and c_hash concern the
// browser flow: a token that is shown to us stands alone.
func TestOIDCConformance(t *testing.T) {
	rs, es, evil := testKey{"rs", "RS256", makeRSA()}, newECKey("es"), testKey{"rs", "RS256", makeBad()}
	provider, clock := newProvider(t, rs, es), &testClock{}
	claims := func(change object) object { return provider.claims(clock.now(), change) }
	for _, test := range []struct {
		name  string
		keys  []any
		token string
		err   error
	}{
		{"rp-id_token-sig-rs256", []any{rs, es}, rs.sign(nil, claims(nil)), nil},
		{"rp-id_token-sig-es256", []any{rs, es}, es.sign(nil, claims(nil)), nil},
		{"rp-id_token-sig-hs256", []any{rs, es}, rs.sign(object{"alg": "HS256"}, claims(nil)), ErrInvalid},
		{"rp-id_token-sig-none", []any{rs, es}, rs.sign(object{"alg": "none"}, claims(nil)), ErrInvalid},
		{"rp-id_token-bad-sig-rs256", []any{rs, es}, evil.sign(nil, claims(nil)), ErrInvalid},
		{"rp-id_token-bad-sig-es256", []any{rs, es}, newECKey("es").sign(nil, claims(nil)), ErrInvalid},
		{"rp-id_token-issuer-mismatch", []any{rs, es}, rs.sign(nil, claims(object{"iss": "https://other.example"})), ErrNotMine},
		{"rp-id_token-sub", []any{rs, es}, rs.sign(nil, claims(object{"sub": nil})), ErrInvalid},
		{"rp-id_token-aud", []any{rs, es}, rs.sign(nil, claims(object{"aud": "other"})), ErrInvalid},
		{"rp-id_token-iat", []any{rs, es}, rs.sign(nil, claims(object{"iat": nil})), ErrInvalid},
		{"rp-id_token-kid-absent-single-jwks", []any{rs}, rs.sign(object{"kid": nil}, claims(nil)), nil},
		{"rp-id_token-kid-absent-multiple-jwks", []any{rs, testKey{"rs2", "RS256", makeBad()}}, rs.sign(object{"kid": nil}, claims(nil)), ErrInvalid},
		{"oidcc-client-test-invalid-iss", []any{rs}, rs.sign(nil, claims(object{"iss": provider.URL + "1"})), ErrNotMine},
		{"oidcc-client-test-missing-aud", []any{rs}, rs.sign(nil, claims(object{"aud": nil})), ErrInvalid},
		{"oidcc-client-test-expired", []any{rs}, rs.sign(nil, claims(object{"exp": clock.now().Add(-10 * time.Minute).Unix()})), ErrExpired},
	} {
		t.Run(test.name, func(t *testing.T) {
			provider.publish(test.keys...)
			outcome(t, provider.oidc(t, clock, nil), test.token, test.err)
		})
	}

	t.Run("oidcc-client-test-signing-key-rotation", func(t *testing.T) {
		provider.publish(rs)
		a := provider.oidc(t, clock, nil)
		outcome(t, a, rs.sign(nil, claims(nil)), nil)
		next := testKey{"next", "RS256", makeBad()}
		provider.publish(next, rs)
		outcome(t, a, rs.sign(nil, claims(object{"jti": "2"})), nil)
		outcome(t, a, next.sign(nil, claims(nil)), nil)
	})
	t.Run("oidcc-client-test-signing-key-rotation-just-before-signing", func(t *testing.T) {
		provider.publish(rs)
		a := provider.oidc(t, clock, nil)
		outcome(t, a, rs.sign(nil, claims(nil)), nil)
		next := testKey{"next", "RS256", makeBad()}
		provider.publish(next)
		outcome(t, a, next.sign(nil, claims(nil)), nil)
	})
}
