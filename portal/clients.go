package portal

import (
	"net/url"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// host is how clients call the registry.
func (x *exchange) host() string {
	base := x.portal.options.PublicURL
	if base == "" {
		var err error
		if base, _, err = x.portal.base(x.r); err != nil {
			return x.r.Host
		}
	}
	u, err := url.Parse(base)
	if err != nil {
		return x.r.Host
	}
	return u.Host
}

// clients shows how to log in with the usual clients, ready to copy.
func (x *exchange) clients() error {
	host, user := x.host(), shellWord(x.principal().Name)
	login := func(command string) string { return "echo \"$TOKEN\" | " + command }
	v := view{Title: txtClients, Lead: txtClientsLead}
	if x.portal.options.Config.DeviceLogin != authn.SwitchOff {
		v.Blocks = append(v.Blocks, block{Heading: txtClientsDevice, Text: txtClientsDeviceNote, Snippets: []snippet{
			{txtClientsHelper, "docker-credential-caddy-registry login " + host},
			{txtClientsCaddy, "caddy registry-auth login " + host},
		}})
	}
	v.Blocks = append(v.Blocks, []block{
		{Heading: txtClientsShell, Text: txtClientsShellNote, Snippets: []snippet{
			{"Docker", login("docker login " + host + " --username " + user + " --password-stdin")},
			{"Podman", login("podman login " + host + " --username " + user + " --password-stdin")},
			{"Helm", login("helm registry login " + host + " --username " + user + " --password-stdin")},
			{"crane", login("crane auth login " + host + " --username " + user + " --password-stdin")},
			{"skopeo", login("skopeo login " + host + " --username " + user + " --password-stdin")},
			{"oras", login("oras login " + host + " --username " + user + " --password-stdin")},
		}},
		{Heading: "Kubernetes", Text: txtClientsKubernetes, Snippets: []snippet{
			{txtClientsSecret, "kubectl create secret docker-registry registry-login \\\n  --docker-server=" + host + " \\\n  --docker-username=" + user + " \\\n  --docker-password=\"$TOKEN\""},
			{txtClientsPod, "spec:\n  imagePullSecrets:\n    - name: registry-login\n  containers:\n    - name: app\n      image: " + host + "/team/app:1.0"},
		}},
	}...)
	return x.show(v)
}

// shellWord quotes a name for a POSIX shell.
func shellWord(s string) string {
	plain := s != ""
	for _, r := range s {
		plain = plain && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-' || r == '@' || r == '/' || r == '+')
	}
	if plain {
		return s
	}
	out := "'"
	for _, r := range s {
		if r == '\'' {
			out += `'\''`
			continue
		}
		out += string(r)
	}
	return out + "'"
}
