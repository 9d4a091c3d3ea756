package portal

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// allRoutes are the pages and what their forms lead to.
func (p *Portal) allRoutes() []route {
	get, post := http.MethodGet, http.MethodPost
	return slices.Concat([]route{
		{method: get, path: "portal.css", serve: (*exchange).stylesheet},
		{method: get, path: "icon.svg", serve: (*exchange).icon},
		{method: get, path: "sign-in", serve: (*exchange).signIn},
		{method: get, path: "sign-in/here", serve: (*exchange).start},
		{method: get, path: "sign-in/at/{provider}", serve: (*exchange).start},
		{method: get, path: "callback", serve: (*exchange).callback},
		{method: get, path: "callback/{provider}", serve: (*exchange).callback},
		{method: get, path: "signed-out", serve: func(x *exchange) error { return x.showSignedOut("", "") }},
		{method: post, path: "back-channel-logout", serve: (*exchange).backChannel, machine: true},
		{method: post, path: "sign-out", serve: (*exchange).signOut, for_: signedIn},
		{method: get, path: "confirm", serve: (*exchange).confirm, for_: signedIn},
		{method: post, path: "confirm", serve: (*exchange).confirmedForm, for_: signedIn},
		{method: get, path: "csrf", serve: (*exchange).csrf, for_: signedIn},
		{method: get, path: "{$}", serve: (*exchange).overview, for_: signedIn},
		{method: get, path: "clients", serve: (*exchange).clients, for_: signedIn},
		{method: get, path: "sessions", serve: (*exchange).sessions, for_: signedIn},
		{method: post, path: "sessions/end", serve: (*exchange).endSessions, for_: signedIn},
		{method: get, path: "tokens", serve: (*exchange).tokens, for_: signedIn},
		{method: post, path: "tokens", serve: (*exchange).createToken, for_: signedIn, proposal: (*exchange).proposeToken},
		{method: post, path: "tokens/withdraw", serve: (*exchange).withdrawToken, for_: signedIn},
		{method: post, path: "logins/end", serve: (*exchange).endLogins, for_: signedIn},
	}, p.ownDeviceRoutes(), p.adminRoutes())
}

// adminRoutes are the pages for administrators, of projects or of everything.
// Who may do what there is for the operations to say.
func (p *Portal) adminRoutes() []route {
	get, post := http.MethodGet, http.MethodPost
	return []route{
		{method: get, path: "projects", serve: (*exchange).projects, for_: signedIn},
		{method: post, path: "projects", serve: (*exchange).createProject, for_: signedIn},
		{method: get, path: "projects/one", serve: (*exchange).project, for_: signedIn},
		{method: post, path: "projects/settings", serve: (*exchange).changeProject, for_: signedIn},
		{method: post, path: "projects/read-only", serve: (*exchange).switchProject, for_: signedIn},
		{method: post, path: "projects/members", serve: (*exchange).putMember, for_: signedIn},
		{method: post, path: "projects/remove-member", serve: (*exchange).removeMember, for_: signedIn},
		{method: post, path: "projects/delete", serve: (*exchange).deleteProject, for_: signedIn},
		{method: get, path: "robots", serve: (*exchange).robots, for_: signedIn},
		{method: get, path: "robots/new", serve: (*exchange).newRobot, for_: signedIn},
		{method: post, path: "robots/new", serve: (*exchange).createRobot, for_: signedIn, proposal: (*exchange).proposeRobot},
		{method: get, path: "robots/one", serve: (*exchange).robot, for_: signedIn},
		{method: post, path: "robots/settings", serve: (*exchange).changeRobot, for_: signedIn},
		{method: post, path: "robots/rotate", serve: (*exchange).rotateRobot, for_: signedIn, proposal: (*exchange).proposeRotation},
		{method: post, path: "robots/disable", serve: (*exchange).disableRobot, for_: signedIn},
		{method: post, path: "robots/enable", serve: (*exchange).enableRobot, for_: signedIn},
		{method: post, path: "robots/delete", serve: (*exchange).deleteRobot, for_: signedIn},
		{method: get, path: "role-mappings", serve: (*exchange).roleMappings, for_: signedIn},
		{method: post, path: "role-mappings", serve: (*exchange).createRoleMapping, for_: signedIn},
		{method: post, path: "role-mappings/delete", serve: (*exchange).deleteRoleMapping, for_: signedIn},
		{method: get, path: "users", serve: (*exchange).users, for_: signedIn},
		{method: get, path: "users/one", serve: (*exchange).user, for_: signedIn},
		{method: post, path: "users/disable", serve: (*exchange).disableUser, for_: signedIn},
		{method: post, path: "users/enable", serve: (*exchange).enableUser, for_: signedIn},
		{method: post, path: "users/sign-out", serve: (*exchange).signOutUser, for_: signedIn},
		{method: post, path: "users/withdraw-token", serve: (*exchange).withdrawUserToken, for_: signedIn},
		{method: post, path: "users/end-login", serve: (*exchange).endUserLogin, for_: signedIn},
		{method: get, path: "signing-keys", serve: (*exchange).signingKeys, for_: signedIn},
		{method: post, path: "signing-keys/rotate", serve: (*exchange).rotateKeys, for_: signedIn},
		{method: post, path: "signing-keys/revoke", serve: (*exchange).revokeKeys, for_: signedIn},
		{method: get, path: "audit", serve: (*exchange).auditLog, for_: signedIn},
		{method: get, path: "explain", serve: (*exchange).explain, for_: signedIn},
		{method: get, path: "health", serve: (*exchange).health, for_: signedIn},
	}
}

// navigation returns the pages for the person who is signed in.
func (x *exchange) navigation() (everybody, admin []link) {
	everybody = []link{
		{Text: txtOverview, Href: x.path("")},
		{Text: txtTokens, Href: x.path("tokens")},
		{Text: txtSessions, Href: x.path("sessions")},
		{Text: txtClients, Href: x.path("clients")},
	}
	m, who, err := x.manager()
	if err != nil {
		return x.mark(everybody), nil
	}
	self := m.Self(who)
	manages := slices.ContainsFunc(self.Projects, func(p management.SelfRights) bool { return slices.Contains(p.Actions, "manage") })
	if self.Admin || manages {
		admin = []link{{Text: txtProjects, Href: x.path("projects")}, {Text: txtRobots, Href: x.path("robots")}, {Text: txtExplain, Href: x.path("explain")}}
	}
	if self.Admin {
		admin = append(admin,
			link{Text: txtMappings, Href: x.path("role-mappings")}, link{Text: txtUsers, Href: x.path("users")},
			link{Text: txtKeys, Href: x.path("signing-keys")}, link{Text: txtAudit, Href: x.path("audit")}, link{Text: txtHealth, Href: x.path("health")})
	}
	return x.mark(everybody), x.mark(admin)
}

// mark marks the page that is shown.
func (x *exchange) mark(pages []link) []link {
	for i := range pages {
		at := pages[i].Href
		pages[i].Current = x.r.URL.Path == at || at != x.portal.prefix && strings.HasPrefix(x.r.URL.Path, at+"/")
	}
	return pages
}

// icon answers with the picture beside the title.
func (x *exchange) icon() error {
	x.w.Header().Set("Cache-Control", "public, max-age=86400")
	http.ServeFileFS(x.w, x.r, staticFiles, "static/icon.svg")
	return nil
}

// showProviders lets people choose where to sign in.
func (x *exchange) showProviders(back string) error {
	v := view{Title: txtSignIn, Lead: txtSignInLead}
	if len(x.portal.providers) == 0 {
		v.Lead = txtNoProviders
		return x.show(v)
	}
	var links []link
	for _, p := range x.portal.providers {
		href := x.path(p.start())
		if back != x.portal.prefix {
			href += "?return_to=" + escape(back)
		}
		links = append(links, link{Text: sprintf(txtSignInWith, p.name), Href: href, Primary: true})
	}
	v.Blocks = []block{{Links: links}}
	return x.show(v)
}

func (x *exchange) showSignedOut(provider, address string) error {
	b := block{Links: []link{{Text: txtSignInAgain, Href: x.path("sign-in"), Primary: true}}}
	if address != "" {
		b.Text = sprintf(txtSignedOutThere, provider)
		b.Links = append(b.Links, link{Text: sprintf(txtSignOutThere, provider), Href: address, Outside: true})
	}
	return x.show(view{Title: txtSignedOutTitle, Lead: txtSignedOut, Blocks: []block{b}})
}

// csrf answers with the token that pages of this host show with requests that
// change something on /v2. Pages of others cannot read the answer.
func (x *exchange) csrf() error {
	x.w.Header().Set("Content-Type", "application/json")
	_, _ = x.w.Write([]byte(`{"header":"` + CSRFHeader + `","token":"` + x.session.csrfToken() + `"}` + "\n"))
	return nil
}
