package trust

import (
	"strings"
	"testing"
)

// TestAPlainNameIsNobody: a group's name without its kind must not make a user
// of that name an administrator, wherever it is written.
func TestAPlainNameIsNobody(t *testing.T) {
	s := start(t, conditional, nil, passwordHash)
	s.wants(201, "PUT", api+"/projects/team-a", `{"patterns":["team-a/**"]}`, asAdmin, jsonBody)
	for _, subject := range []string{"staff", "nokind:staff", "grup:staff", "user:", "claim:x"} {
		escaped := strings.ReplaceAll(subject, ":", "%3A")
		s.wants(422, "PUT", api+"/role-mappings/"+escaped, `{"role":"admin"}`, asAdmin, jsonBody)
		s.wants(422, "POST", api+"/role-mappings", `{"principal":"`+subject+`","role":"admin"}`, asAdmin, jsonBody)
		s.wants(422, "POST", api+"/import", `{"version":1,"role_mappings":[{"principal":"`+subject+`","role":"admin"}]}`, asAdmin, jsonBody)
		s.wants(422, "PUT", api+"/projects/team-a/members/"+escaped, `{"role":"developer"}`, asAdmin, jsonBody)
		if answer, err := s.command("role", "set", subject, "admin"); err == nil {
			t.Errorf("role set %s: %s", subject, answer)
		} else if subject == "staff" && !strings.Contains(answer, "group:staff") {
			t.Errorf("role set %s does not say what to write: %s", subject, answer)
		}
	}
	// In Apicurio Registry's own form a principal is a user's name; anything
	// that looks like a kind must be one.
	s.wants(204, "POST", api+"/admin/roleMappings", `{"principalId":"alice","role":"DEVELOPER"}`, asAdmin, jsonBody)
	s.wants(200, "GET", api+"/role-mappings/user:alice", "", asAdmin)
	s.wants(422, "POST", api+"/admin/roleMappings", `{"principalId":"nokind:staff","role":"ADMIN"}`, asAdmin, jsonBody)
	s.wants(200, "GET", api+"/admin/roleMappings/alice", "", asAdmin)
}

// command runs a managing command of the gateway's own program.
func (s *scene) command(words ...string) (string, error) {
	s.t.Helper()
	cmd := s.Command(s.t.Context(), append(append([]string{"registry-auth"}, words...), "--insecure-http")...)
	cmd.Env = append(cmd.Env, "REGISTRY_AUTH_ADDRESS="+s.URL, "REGISTRY_AUTH_KEY="+adminKey)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
