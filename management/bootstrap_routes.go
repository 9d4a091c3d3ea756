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
	routes := []route{
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
				who, err := a.bootstrapCaller(c.request)
				if err != nil {
					return nil, err
				}
				made, err := b.Call(c.request.Context(), who, input[BootstrapCall](c))
				return &answer{value: made}, err
			},
		},
	}
	if a.options.Local == nil {
		return routes
	}
	return append(routes, route{
		method: http.MethodPost, path: "/bootstrap/reset", id: "resetBootstrap", group: "bootstrap",
		summary: "Opens bootstrap again, whatever keys there are. Only on the machine's own administration endpoint.",
		status:  http.StatusNoContent, fails: []Code{CodeForbidden, CodeConflict},
		serve: func(c *call) (*answer, error) { return &answer{}, b.Reset(c.request.Context(), c.who) },
	})
}

// bootstrapCaller is who makes the call, which needs no credential beside the
// secret.
func (a *API) bootstrapCaller(r *http.Request) (*Caller, error) {
	if a.options.Local != nil {
		return a.caller(r)
	}
	return &Caller{Remote: a.remote(r), Agent: r.UserAgent(), RequestID: a.requestID(r), actor: state.Actor{Kind: "bootstrap"}}, nil
}
