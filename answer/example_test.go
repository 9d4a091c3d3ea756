package answer_test

import (
	"fmt"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// Every protocol renders the same row.
func ExampleOf() {
	a := answer.Of(fmt.Errorf("alice: %w", authn.ErrUnavailable))
	fmt.Println(a.Status, a.Code, a.OAuth, a.Problem, a.RetryAfter)
	fmt.Println(a.Sentence)
	// Output:
	// 503 UNAVAILABLE temporarily_unavailable unavailable 5s
	// credentials cannot be checked or issued at the moment: try again in a moment
}
