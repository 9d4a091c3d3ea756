package management

import (
	"encoding/json"
	"net/http"
	"slices"
)

// everyRoute returns all operations of the API, the resources in the order of
// the document.
func (a *API) everyRoute() []route {
	return slices.Concat(
		a.selfRoutes(),
		a.robotRoutes(),
		a.roleRoutes(),
		a.projectRoutes(),
		a.readOnlyRoutes(),
		a.ownerRoutes(),
		a.userRoutes(),
		a.revocationRoutes(),
		a.signingRoutes(),
		a.auditRoutes(),
		a.explainRoutes(),
		a.documentRoutes(),
		a.installationRoutes(),
		a.bootstrapRoutes(),
		a.tokenRoutes(),
		a.identityTokenRoutes(),
		a.keyRoutes(),
	)
}

// selfRoutes are about the API and the caller.
func (a *API) selfRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/openapi.json", id: "getDocument", group: "self", open: true,
			summary: "This API as an OpenAPI 3.1 document.", status: http.StatusOK, result: of[map[string]any](),
			serve: func(*call) (*answer, error) { return &answer{value: json.RawMessage(a.openapi)}, nil },
		},
		{
			method: http.MethodGet, path: "/health", id: "getHealth", group: "self", open: true,
			summary: "Whether changes can be made. The status is 200 as well while the store is away: the gateway goes on with what it knows.",
			status:  http.StatusOK, result: of[Health](),
			serve: func(*call) (*answer, error) { return &answer{value: a.manager.Health()}, nil },
		},
		{
			method: http.MethodGet, path: "/whoami", id: "whoAmI", group: "self",
			summary: "Who the caller is, and what it may do.", status: http.StatusOK, result: of[Self](),
			serve: func(c *call) (*answer, error) { return &answer{value: a.manager.Self(c.who)}, nil },
		},
	}
}
