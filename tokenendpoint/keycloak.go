package tokenendpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// Registries and tools that were set up for Keycloak's docker protocol read
// its answers. At its paths this endpoint gives them, and what it lacks: POST,
// several scopes, tokens for nobody, a challenge.

// keycloakPaths returns where the docker protocol of Keycloak realms is.
func keycloakPaths(realms []string) []string {
	paths := make([]string, 0, 2*len(realms))
	for _, realm := range realms {
		path := "/realms/" + realm + "/protocol/docker-v2"
		paths = append(paths, path+"/auth", path)
	}
	return paths
}

func checkKeycloakRealms(realms []string) error {
	for i, realm := range realms {
		switch {
		case realm == "" || strings.Contains(realm, "/") || url.PathEscape(realm) != realm || strings.Trim(realm, ".") == "":
			return fmt.Errorf("keycloak: realm %q: want a name that stands in a URL as it is", realm)
		case slices.Contains(realms[:i], realm):
			return fmt.Errorf("keycloak: realm %q: given twice", realm)
		}
	}
	return nil
}

// isKeycloakPath reports whether a path is one of Keycloak's.
func (c *Config) isKeycloakPath(path string) bool {
	return len(c.Keycloak) > 0 && strings.HasPrefix(path, "/realms/") && slices.Contains(keycloakPaths(c.Keycloak), path)
}

// Keycloak's own words, by which tools know what is wrong.
const (
	keycloakNoService  = "service parameter must be provided"
	keycloakNoClient   = "Client specified by 'service' parameter does not exist"
	keycloakWrongLogin = "Invalid username or password."
)

// keycloakService refuses a request for no service, or for one that is not
// known: it would be the id of a client there.
func (x *exchange) keycloakService(known bool) *failure {
	switch {
	case x.service == "":
		return badRequest(keycloakNoService)
	case !known:
		f := badRequest(keycloakNoClient)
		f.oauth = "invalid_client"
		return f
	}
	return nil
}

// keycloakItem is an entry of "detail" in Keycloak's answer to a wrong login.
type keycloakItem struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// failKeycloak answers a refusal as Keycloak does. Where that has no answer of
// its own, such as 429, the one of this endpoint is given.
func (x *exchange) failKeycloak(f *failure) bool {
	switch f.status {
	case http.StatusUnauthorized:
		// With this browsers ask for a password, which Keycloak leaves to others.
		x.w.Header().Set("WWW-Authenticate", `Basic realm="`+string(appendParameter(nil, x.endpoint.Service))+`", charset="UTF-8"`)
		x.writeKeycloak(f.status, answer.Document{Errors: []answer.Item{{Code: answer.CodeUnauthorized, Message: keycloakWrongLogin, Detail: keycloakDetail(x.requested)}}})
	case http.StatusBadRequest:
		x.writeKeycloak(f.status, struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}{f.oauth, f.message})
	default:
		return false
	}
	return true
}

// keycloakDetail says what was asked for.
func keycloakDetail(requested []authz.Access) any {
	items := make([]keycloakItem, len(requested))
	for i, a := range requested {
		items[i] = keycloakItem{a.Type, a.Name, a.ScopeActions()}
	}
	return items
}

func (x *exchange) writeKeycloak(status int, body any) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) // strings only: there is no such error
	answer.WriteJSON(x.w, x.r, status, out.Bytes())
}
