package runner

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// setups prepare the stage for rows whose "setup" asks for more than is there.
var setups = map[string]func(context.Context, *Runner) error{
	"basic-lockout-robot": lockoutAttempt,
	"blob-get-other-repo": headForeignBlob,
}

// lockoutAttempt guesses passwords of the robot ci from one address: mostly
// well-formed secrets, and some words, which cost the gateway a slow hash.
func lockoutAttempt(ctx context.Context, r *Runner) error {
	for i := range 200 {
		guess, _ := stage.NewSecret()
		if i%10 == 0 {
			guess = fmt.Sprintf("guess-%d", i)
		}
		q := &request{
			method: http.MethodGet, target: stage.TokenPath + "?service=" + stage.Service,
			headers: [][2]string{{"Authorization", stage.Basic("robot$ci", guess)}},
		}
		a, err := q.send(ctx, r.stage.Addr, net.IPv4(127, 200, 0, 1))
		if err != nil {
			return err
		}
		if a.status != http.StatusUnauthorized && a.status != http.StatusTooManyRequests {
			return fmt.Errorf("guess %d was answered %d", i, a.status)
		}
	}
	return nil
}

// headForeignBlob makes registries that share blobs between repositories link
// the blob, if they are asked for it.
func headForeignBlob(ctx context.Context, r *Runner) error {
	token, err := r.stage.Token(ctx, "bob", "repository:pub/app:pull")
	if err != nil {
		return err
	}
	digest, err := r.digest("digest", "team/secret:layer")
	if err != nil {
		return err
	}
	q := &request{
		method: http.MethodHead, target: "/v2/pub/app/blobs/" + digest,
		headers: [][2]string{{"Authorization", "Bearer " + token}},
	}
	_, err = q.send(ctx, r.stage.Addr, net.IPv4(127, 200, 0, 2))
	return err
}
