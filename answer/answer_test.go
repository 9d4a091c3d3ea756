package answer

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/admission"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// TestRows holds each row to what clients of all protocols need.
func TestRows(t *testing.T) {
	for kind := range table {
		a := kind.Of()
		if a.Kind != kind || a.Status < 400 || a.Code == "" || a.OAuth == "" || a.Problem == "" {
			t.Errorf("%s: not whole: %+v", kind, a)
		}
		if genericMessages[strings.ToLower(a.Sentence)] || a.Sentence == "" {
			t.Errorf("%s: Docker hides %q", kind, a.Sentence)
		}
		if strings.Contains(a.Sentence, "try again") && a.RetryAfter == 0 {
			t.Errorf("%s: %q, though it does not pass by itself", kind, a.Sentence)
		}
		if a.RetryAfter > 0 && a.Status != http.StatusTooManyRequests && a.Status < 500 {
			t.Errorf("%s: Retry-After for a mistake of the client's", kind)
		}
		if transient := a.OAuth == "temporarily_unavailable"; transient && a.RetryAfter == 0 && kind != Conflict {
			t.Errorf("%s: said to be temporary, without Retry-After", kind)
		}
	}
}

// TestNobodyLearnsWhichAccountsExist: a wrong secret, a disabled account, an
// unknown one and the wrong network look the same.
func TestNobodyLearnsWhichAccountsExist(t *testing.T) {
	want := OfCredential(authn.ErrInvalid)
	want.Kind = ""
	for _, err := range []error{authn.ErrDisabled, authn.ErrGone, authn.ErrForbiddenSource, authn.ErrNotMine, errors.New("a third party's")} {
		got := OfCredential(fmt.Errorf("alice: %w", err))
		got.Kind = ""
		if got != want {
			t.Errorf("%v: %+v, want %+v", err, got, want)
		}
	}
}

func TestOf(t *testing.T) {
	wrapped := func(err error) error { return fmt.Errorf("reading: %w", err) }
	for _, tt := range []struct {
		err  error
		kind Kind
		wait time.Duration
	}{
		{&authn.ThrottledError{RetryAfter: 70 * time.Second, Err: authn.ErrInvalid}, Throttled, 70 * time.Second},
		{&authn.PasswordsOffError{Err: authn.ErrInvalid}, PasswordsOff, 0},
		{&authn.ExpiredTokenError{Principal: &authn.Principal{}}, Expired, 0},
		{authn.ErrUnconfirmed, Unconfirmed, 0},
		{authn.ErrGone, Disabled, 0},
		{authn.ErrBusy, Busy, time.Second},
		{authn.ErrUnavailable, Unchecked, 5 * time.Second},
		{fmt.Errorf("%w: %w", authn.ErrInvalid, authn.ErrCrossSite), CrossSite, 0},
		{admission.ErrTooEarly, TooEarly, 0},
		{&store.ConflictError{Key: store.Key{Kind: "robot", ID: "ci"}}, Conflict, 0},
		{store.ErrFull, StoreFull, 0},
		{store.ErrReadOnly, StoreOnly, 5 * time.Second},
		{store.ErrUnavailable, StoreAway, 5 * time.Second},
		{store.ErrUnknown, StoreUnknown, 5 * time.Second},
		{store.ErrStale, StoreStale, 5 * time.Second},
		{store.ErrDamaged, StoreUnusable, 0},
		{store.ErrFormat, StoreUnusable, 0},
		{fmt.Errorf("%w: %w", TagBusy.Err(), store.ErrUnavailable), TagBusy, 5 * time.Second},
		{errors.New("anything else"), Internal, 0},
	} {
		a := Of(wrapped(tt.err))
		if a.Kind != tt.kind || a.RetryAfter != tt.wait {
			t.Errorf("%v: %s after %s, want %s after %s", tt.err, a.Kind, a.RetryAfter, tt.kind, tt.wait)
		}
	}
	if got := Of(&store.ConflictError{Key: store.Key{Kind: "robot"}}).Sentence; !strings.HasPrefix(got, "robot ") {
		t.Errorf("a conflict does not say what it is about: %q", got)
	}
}
