package stage

// Card tells a program that did not set the stage all it needs to know.
type Card struct {
	Gateway       string   `json:"gateway"`
	Registry      string   `json:"registry"`
	TokenURLs     []string `json:"token_urls"`
	Service       string   `json:"service"`
	Issuer        string   `json:"issuer"`
	Caddyfile     string   `json:"caddyfile"`
	UpstreamUser  string   `json:"upstream_user"`
	LogsIn        []Login  `json:"logins"`
	AnonymousRead string   `json:"anonymous_read"`
}

// Login is somebody who can log in. The password of a person is an ID token
// of the test provider and lasts for an hour.
type Login struct {
	User     string `json:"user"`
	Password string `json:"password"`
	Rights   string `json:"rights"`
}

var rights = []struct{ login, rights string }{
	{"robot-ci", "pull and push in team/**"},
	{"robot-reader", "pull in team/**"},
	{"robot-janitor", "pull, push and delete in team/**"},
	{"robot-dev", "pull and push in pub/**"},
	{"robot-exp", "none: expired"},
	{"robot-dis", "none: disabled"},
	{"robot-longpw", "pull in team/**"},
	{"admin", "everything"},
	{"alice", "maintainer of team/**"},
	{"bob", "pull in team/app and pub/**"},
	{"carol", "maintainer of other/**"},
	{"mallory", "maintainer of pub/**"},
}

// Card returns the card of the stage.
func (s *Stage) Card() (*Card, error) {
	card := &Card{
		Gateway: s.URL, Registry: s.Direct.URL, Service: Service, Issuer: s.IdP.Issuer,
		TokenURLs: []string{s.URL + "/v2/token", s.URL + TokenPath},
		Caddyfile: s.Gateway.Caddyfile(), UpstreamUser: UpstreamUser, AnonymousRead: "pub/**",
	}
	for _, r := range rights {
		password, err := s.Password(r.login)
		if err != nil {
			return nil, err
		}
		card.LogsIn = append(card.LogsIn, Login{User: r.login, Password: password, Rights: r.rights})
	}
	return card, nil
}
