package runner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// setups prepare the stage for rows whose "setup" asks for more than is there.
var setups = map[string]func(context.Context, *Runner) error{
	"basic-lockout-robot": lockoutAttempt,
	"blob-get-other-repo": headForeignBlob,
	"adm-robot-update":    makeForeignRobot,
	// Administrators are known from when they come for the first time.
	"basic-pat-other-user": func(ctx context.Context, r *Runner) error {
		_, err := r.session(ctx, "admin")
		return err
	},
}

// makeForeignRobot makes a robot of the project other.
func makeForeignRobot(ctx context.Context, r *Runner) error {
	return r.manage(ctx, http.MethodPut, "/robots/"+foreignRobot, `{"permissions":[{"name":"other/**","actions":["pull"]}],"disabled":true}`)
}

// lockoutAttempt guesses passwords of the robot ci from one address: mostly
// well-formed secrets, and some words, which cost the gateway a slow hash.
func lockoutAttempt(ctx context.Context, r *Runner) error {
	const guesses, atOnce = 200, 8
	errs := make([]error, atOnce)
	var running sync.WaitGroup
	for part := range atOnce {
		running.Go(func() {
			for i := part; i < guesses && errs[part] == nil; i += atOnce {
				errs[part] = r.guess(ctx, i)
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

func (r *Runner) guess(ctx context.Context, i int) error {
	guess, _ := stage.NewSecret()
	if i%10 == 0 {
		guess = fmt.Sprintf("guess-%d", i)
	}
	q := &request{
		method: http.MethodGet, target: stage.TokenPath + "?service=" + stage.Service,
		headers: [][2]string{{"Authorization", stage.Basic("robot$ci", guess)}},
	}
	a, err := r.send(ctx, q, net.IPv4(127, 200, 0, 1))
	if err != nil {
		return err
	}
	if a.status != http.StatusUnauthorized && a.status != http.StatusTooManyRequests {
		return fmt.Errorf("guess %d was answered %d", i, a.status)
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
	_, err = r.send(ctx, q, net.IPv4(127, 200, 0, 2))
	return err
}
