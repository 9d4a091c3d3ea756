package management

import (
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// bootstrapRoutes are how the first administrator is made.
func (a *API) bootstrapRoutes() []route {
	if a.options.Bootstrap == nil {
		return nil
	}
	b := a.options.Bootstrap
	return []route{
		{
			method: http.MethodGet, path: "/bootstrap", id: "getBootstrap", group: "bootstrap", open: true,
			summary: "204: there is no administrator yet, and the call can be made. 404: bootstrap is closed.",
			status:  http.StatusNoContent, fails: []Code{CodeNotFound},
			serve: func(*call) (*answer, error) { return &answer{}, b.Status() },
		},
		{
			method: http.MethodPost, path: "/bootstrap", id: "bootstrap", group: "bootstrap", open: true,
			summary: "Makes the first administrator's key, once. It ends within the hour, or when it has made a key for * that lasts.",
			body:    of[BootstrapCall](), status: http.StatusCreated, result: of[BootstrapKey](), fails: []Code{CodeUnauthenticated, CodeConflict, CodeBusy},
			serve: func(c *call) (*answer, error) {
				who := &Caller{
					Remote: a.remote(c.request), Agent: c.request.UserAgent(), RequestID: a.requestID(c.request), actor: state.Actor{Kind: "bootstrap"},
				}
				made, err := b.Call(c.request.Context(), who, input[BootstrapCall](c))
				return &answer{value: made}, err
			},
		},
	}
}
