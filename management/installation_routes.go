package management

import (
	"errors"
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/export"
)

// installationRoutes say what the other side of the gateway needs to know.
func (a *API) installationRoutes() []route {
	if a.options.Installation == nil {
		return nil
	}
	return []route{{
		method: http.MethodGet, path: "/export/{format}", id: "exportInstallation", group: "export", scope: ScopeSigningRead,
		summary: "What a registry that verifies the gateway's tokens needs: distribution, zot, compose, env, kubernetes, certificates or jwks. For administrators.",
		status:  http.StatusOK, medias: export.MediaTypes(), fails: []Code{CodeForbidden, CodeNotFound, CodeConflict},
		serve: func(c *call) (*answer, error) { return a.installation(c) },
	}}
}

// installation renders a format. One with a login is none here: it would have
// to be asked for with somebody's secret.
func (a *API) installation(c *call) (*answer, error) {
	if err := a.manager.needsAdmin(c.who, ScopeSigningRead); err != nil {
		return nil, err
	}
	format, err := export.Find(c.path["format"])
	if err != nil {
		return nil, fail(CodeNotFound, "%v", err)
	}
	if format.Login {
		return nil, fail(CodeConflict, "%s has a secret in it: caddy registry-auth export-config writes it where the secret is", format.Name)
	}
	in, err := a.options.Installation(c.request)
	if err != nil {
		return nil, err
	}
	body, media, err := export.Render(format.Name, in)
	switch {
	case errors.Is(err, export.ErrNotPossible), errors.Is(err, export.ErrIncomplete):
		return nil, fail(CodeConflict, "%v", err)
	case err != nil:
		return nil, err
	}
	return &answer{media: media, stream: func(w http.ResponseWriter) error {
		_, err := w.Write(body)
		return err
	}}, nil
}
