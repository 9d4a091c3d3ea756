package runner

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// resolve returns the value of one placeholder. What it makes that must not
// leak is remembered.
func (r *Runner) resolve(ctx context.Context, name, mutation, argument string) (string, error) {
	switch name {
	case "token":
		return r.secret(r.registryToken(ctx, mutation, argument))
	case "idtoken":
		return r.secret(r.idToken(ctx, mutation, argument))
	case "idtoken-big":
		return r.secret(r.bigIDToken(argument))
	case "gha":
		return r.secret(r.stage.JobToken(argument))
	case "basic":
		return r.basic(argument)
	case "basicraw":
		user, password, _ := strings.Cut(argument, ":")
		return stage.Basic(unescape(user), unescape(password)), nil
	case "b64":
		return base64.StdEncoding.EncodeToString([]byte(unescape(argument))), nil
	case "pw", "secret":
		return r.secret(r.password(argument))
	case "pw72":
		return stage.LongPassword, nil
	case "hash":
		return r.storedHash(argument)
	case "upload":
		return r.openUpload(ctx, argument)
	case "digest", "digestenc":
		return r.digest(name, argument)
	case "boot":
		return r.stage.BootstrapSecret, nil
	case "adminkey":
		return r.admin(ctx)
	case "pat":
		return r.accessToken(ctx, argument, `{"name":%q,"scopes":["*"]}`)
	case "pat-pull":
		return r.accessToken(ctx, argument, `{"name":%q,"permissions":[{"name":"team/**","actions":["pull"]}]}`)
	case "refresh":
		return r.identityToken(ctx, argument)
	case "refresh-used":
		return r.usedIdentityToken(ctx, argument)
	case "session-api":
		token, err := r.secret(r.idToken(ctx, "", argument))
		return "Bearer " + token, err
	case "session", "sessionvalue", "csrf", "code", "code-badnonce", "state", "state-used", "prelogin":
		return r.browser(ctx, name, mutation, argument)
	case "issuer":
		return r.stage.IdP.Issuer, nil
	case "second-issuer":
		return r.stage.SecondIdP.Issuer, nil
	case "service":
		return stage.Service, nil
	case "host":
		return r.host, nil
	case "public_url":
		return r.stage.URL, nil
	case "collab":
		return r.collab.URL, nil
	}
	return "", unsupported("placeholder {{%s}}", name)
}

// secret remembers a value that must not be seen in logs and answers.
func (r *Runner) secret(value string, err error) (string, error) {
	if err == nil {
		r.secrets.add(value)
	}
	return value, err
}

// password of a person or robot; there is none for anybody else.
func (r *Runner) password(login string) (string, error) {
	password, err := r.stage.Password(login)
	if err != nil {
		return "", unsupported("%v", err)
	}
	return password, nil
}

// basic makes the value of an Authorization header from NAME or NAME:wrong.
// Every wrong password is another one, as a guesser's are.
func (r *Runner) basic(argument string) (string, error) {
	login, wrong, _ := strings.Cut(argument, ":")
	if wrong == "wrong" {
		r.guesses++
		return stage.Basic(login, fmt.Sprintf("wrong-password-%d", r.guesses)), nil
	}
	password, err := r.secret(r.password(login))
	if err != nil {
		return "", err
	}
	return stage.Basic(login, password), nil
}

func (r *Runner) storedHash(login string) (string, error) {
	if login == stage.LocalUser {
		return stage.LocalHash, nil
	}
	robot, ok := r.stage.Robots[stage.RobotName(login)]
	if !ok {
		return "", unsupported("stored password of %q, who has none here", login)
	}
	return robot.Stored, nil
}

// bigIDToken is an ID token of about 12 kB: 300 groups.
func (r *Runner) bigIDToken(person string) (string, error) {
	claims, err := r.stage.Claims(person)
	if err != nil {
		return "", unsupported("%v", err)
	}
	groups, _ := claims["groups"].([]string)
	groups = append([]string(nil), groups...)
	for i := range 300 {
		groups = append(groups, fmt.Sprintf("department-%03d-of-many-more", i))
	}
	return r.stage.IdP.Sign(claims.With("groups", groups))
}

// openUpload starts an upload through the gateway ("carol:other/app") and
// returns its id (see resume).
func (r *Runner) openUpload(ctx context.Context, argument string) (string, error) {
	login, repository, _ := strings.Cut(argument, ":")
	token, err := r.secret(r.stage.Token(ctx, login, "repository:"+repository+":pull,push"))
	if err != nil {
		return "", err
	}
	client := &upstream.Client{URL: r.stage.URL, Authorization: "Bearer " + token}
	location, err := client.OpenUpload(ctx, repository)
	if err != nil {
		return "", err
	}
	id := path.Base(location.Path)
	r.uploads[id] = location.RawQuery
	return id, nil
}

// resume adds to a target that names an open upload what the registry wants
// to see with it, as it said when the upload was opened.
func (r *Runner) resume(target string) string {
	_, id, found := strings.Cut(target, "/blobs/uploads/")
	id, query, hasQuery := strings.Cut(id, "?")
	state := r.uploads[id]
	switch {
	case !found || state == "" || strings.Contains(query, state):
		return target
	case hasQuery:
		return target + "&" + state
	}
	return target + "?" + state
}

// digest of a seeded image: "REPOSITORY:layer", "REPOSITORY:config", or
// "REPOSITORY:TAG" for its manifest; "tiny" is the blob of one byte "x".
func (r *Runner) digest(name, argument string) (string, error) {
	digest := upstream.Digest([]byte("x"))
	if argument != "tiny" {
		repository, what, _ := strings.Cut(argument, ":")
		image, ok := r.stage.Images[repository+":x"]
		if !ok {
			return "", unsupported("digest of %q, which is not seeded", argument)
		}
		switch what {
		case "layer":
			digest = upstream.Digest(image.Layers[0])
		case "config":
			digest = upstream.Digest(image.Config)
		default:
			digest = image.Digest()
		}
	}
	if name == "digestenc" {
		return strings.Replace(digest, ":", "%3A", 1), nil
	}
	return digest, nil
}

// until shows a token to the gateway until it answers with the status.
func (r *Runner) until(ctx context.Context, token string, want int) error {
	return poll(ctx, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.stage.URL+"/v2/", nil)
		if err != nil {
			return err
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != want {
			return fmt.Errorf("%s, want %d", res.Status, want)
		}
		return nil
	})
}
