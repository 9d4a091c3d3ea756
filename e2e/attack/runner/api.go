package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// call asks the management API for something and reads the answer.
func (r *Runner) call(ctx context.Context, method, path, authorization, body string, answer any) error {
	header := http.Header{"Authorization": {authorization}}
	if body != "" {
		header.Set("Content-Type", "application/json")
	}
	return r.fetch(ctx, method, apiPath+path, header, body, answer)
}

// fetch sends a request and reads the answer, which must be JSON or nothing.
func (r *Runner) fetch(ctx context.Context, method, path string, header http.Header, body string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, r.stage.URL+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Host, req.Header = r.host, header
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
	switch {
	case err != nil:
		return err
	case res.StatusCode >= http.StatusBadRequest:
		return fmt.Errorf("%s %s: %s: %.300s", method, path, res.Status, text)
	case answer == nil:
		return nil
	}
	return json.Unmarshal(text, answer)
}

// bootstrapped keeps the first administrator's key, of an answer to bootstrap.
func (r *Runner) bootstrapped(body []byte) {
	var made struct{ Key string }
	if json.Unmarshal(body, &made) == nil {
		r.adminKey = made.Key // a secret from when it is used: the answer has it
	}
}

// admin returns an administrator's key.
func (r *Runner) admin(ctx context.Context) (string, error) {
	if r.adminKey == "" {
		var made json.RawMessage
		if err := r.fetch(ctx, http.MethodPost, apiPath+"/bootstrap", http.Header{"Content-Type": {"application/json"}},
			fmt.Sprintf(`{"secret":%q}`, r.stage.BootstrapSecret), &made); err != nil {
			return "", err
		}
		r.bootstrapped(made)
	}
	return r.secret(r.adminKey, nil)
}

// manage does something as administrator.
func (r *Runner) manage(ctx context.Context, method, path, body string) error {
	key, err := r.admin(ctx)
	if err != nil {
		return err
	}
	return r.call(ctx, method, path, "Bearer "+key, body, nil)
}

// accessToken makes an access token of somebody as body, a format with its
// name, says.
func (r *Runner) accessToken(ctx context.Context, person, body string) (string, error) {
	token, err := r.idToken(ctx, "", person)
	if err != nil {
		return "", err
	}
	r.guesses++
	var made struct{ Secret string }
	err = r.call(ctx, http.MethodPost, "/tokens", "Bearer "+token, fmt.Sprintf(body, fmt.Sprintf("attack-%d", r.guesses)), &made)
	return r.secret(made.Secret, err)
}

// exchange asks the token endpoint for an identity token.
func (r *Runner) exchange(ctx context.Context, form url.Values) (string, error) {
	form.Set("service", stage.Service)
	form.Set("client_id", "x")
	form.Set("access_type", "offline")
	var answer struct {
		RefreshToken string `json:"refresh_token"`
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if err := r.fetch(ctx, http.MethodPost, stage.TokenPath, header, form.Encode(), &answer); err != nil {
		return "", err
	}
	if answer.RefreshToken == "" {
		return "", fmt.Errorf("the token endpoint gives no identity token")
	}
	return r.secret(answer.RefreshToken, nil)
}

func (r *Runner) identityToken(ctx context.Context, person string) (string, error) {
	password, err := r.secret(r.password(person))
	if err != nil {
		return "", err
	}
	return r.exchange(ctx, url.Values{"grant_type": {"password"}, "username": {person}, "password": {password}})
}

// replacedFor is longer than a token that was replaced stays good, for what was
// on its way.
const replacedFor = 61 * time.Second

// usedIdentityToken returns an identity token that was replaced by another,
// which its owner has used in turn, a while ago.
func (r *Runner) usedIdentityToken(ctx context.Context, person string) (string, error) {
	first, err := r.identityToken(ctx, person)
	if err != nil {
		return "", err
	}
	next := first
	for range 2 {
		if next, err = r.exchange(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {next}}); err != nil {
			return "", err
		}
	}
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(replacedFor):
		return first, nil
	}
}

// isAdmin reports whether the API takes somebody for an administrator.
func (r *Runner) isAdmin(ctx context.Context, person string) (bool, error) {
	token, err := r.idToken(ctx, "", person)
	if err != nil {
		return false, err
	}
	var self struct{ Admin bool }
	err = r.call(ctx, http.MethodGet, "/whoami", "Bearer "+token, "", &self)
	return self.Admin, err
}

// becameAdmin checks NAME.admin.
func (o *outcome) becameAdmin(argument string) (string, error) {
	person, what, _ := strings.Cut(argument, ".")
	if what != "admin" {
		return "", unsupported("expectation state:%s", argument)
	}
	is, err := o.isAdmin(person)
	if err != nil {
		return "", err
	}
	return found(is, "%s is administrator now", person)
}

// tokenBeforeProject returns somebody's token for the project reborn, which
// was deleted since and made again without that person.
func (r *Runner) tokenBeforeProject(ctx context.Context, person string) (string, error) {
	const path = "/projects/" + reborn
	member := fmt.Sprintf(`{"patterns":["reborn/**"],"members":[{"subject":"user:%s","role":"maintainer"}]}`, person)
	if err := r.manage(ctx, http.MethodPut, path, member); err != nil {
		return "", err
	}
	var token string
	err := poll(ctx, func(ctx context.Context) (err error) {
		if token, err = r.secret(r.stage.Token(ctx, person, "repository:reborn/app:pull")); err != nil {
			return err
		}
		f, err := r.registryForge(token)
		if err == nil && !grants(f.claims, []string{"repository:reborn/app:pull"}) {
			err = fmt.Errorf("a member of a new project gets no token for it")
		}
		return err
	})
	if err != nil {
		return "", err
	}
	if err := r.manage(ctx, http.MethodDelete, path, ""); err != nil {
		return "", err
	}
	return token, r.manage(ctx, http.MethodPut, path, `{"patterns":["reborn/**"]}`)
}
