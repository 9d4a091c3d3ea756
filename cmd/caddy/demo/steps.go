package demo

import "net/url"

// Line is one line to paste.
type Line struct {
	Command string
	// Refused says that the gateway refuses what the line asks for.
	Refused bool
}

// Step is something to see.
type Step struct {
	Title string
	Lines []Line
}

// Steps returns the lines to paste, in an order in which all of them do what
// their step says. They are for any POSIX shell with docker and curl.
func (d *Demo) Steps() []Step {
	host := d.Gateway[len("http://"):]
	ok := func(command string) Line { return Line{Command: command} }
	refused := func(command string) Line { return Line{Command: command, Refused: true} }
	return []Step{
		{"Anybody may pull what is public", []Line{
			ok("docker pull " + host + "/public/hello"),
		}},
		{"... but not push. This is refused", []Line{
			ok("docker tag " + host + "/public/hello " + host + "/team-a/hello"),
			refused("docker push " + host + "/team-a/hello"),
		}},
		{"The robot of team-a pushes and pulls", []Line{
			ok("echo " + d.RobotSecret + " | docker login " + host + " -u robot-ci --password-stdin"),
			ok("docker push " + host + "/team-a/hello"),
			ok("docker pull " + host + "/team-a/hello"),
		}},
		{"... in its own project only. This is refused", []Line{
			ok("docker tag " + host + "/public/hello " + host + "/public/mine"),
			refused("docker push " + host + "/public/mine"),
		}},
		{"bob is a developer of team-a. His ID token from the provider opens the registry", []Line{
			ok("TOKEN=$(" + d.askForIDToken("bob") + ")"),
			ok(`curl -sS --fail-with-body -H "Authorization: Bearer $TOKEN" ` + d.Gateway + "/v2/team-a/hello/tags/list"),
			ok("echo $TOKEN | docker login " + host + " -u bob --password-stdin"),
			ok("docker push " + host + "/team-a/hello"),
		}},
		{"... but he may not delete. This is refused", []Line{
			refused(`curl -sS --fail-with-body -X DELETE -H "Authorization: Bearer $TOKEN" ` + d.Gateway + "/v2/team-a/hello/manifests/latest"),
		}},
		{"alice is an administrator: she may, and sees all there is", []Line{
			ok("TOKEN=$(" + d.askForIDToken("alice") + ")"),
			ok(`curl -sS --fail-with-body -X DELETE -H "Authorization: Bearer $TOKEN" ` + d.Gateway + "/v2/team-a/hello/manifests/latest"),
			ok(`curl -sS --fail-with-body -H "Authorization: Bearer $TOKEN" ` + d.Gateway + "/v2/_catalog"),
		}},
		{"A robot that is made while the gateway runs may pull at once", []Line{
			ok("export REGISTRY_AUTH_KEY=" + d.AdminKey),
			ok(`SECRET=$(curl -sS --fail-with-body -X PUT -H "Authorization: Bearer $REGISTRY_AUTH_KEY" -H "Content-Type: application/json" ` +
				`-d '{"permissions":[{"type":"repository","name":"public/*","actions":["pull"]}]}' ` + d.Gateway + `/auth/api/v1/robots/viewer | sed 's/.*"secret":"\([^"]*\)".*/\1/')`),
			ok("echo $SECRET | docker login " + host + " -u robot-viewer --password-stdin"),
			ok("docker pull " + host + "/public/hello"),
		}},
		{"Tidy up what docker keeps", []Line{
			ok("docker logout " + host),
			ok("docker rmi " + host + "/public/hello " + host + "/public/mine " + host + "/team-a/hello"),
		}},
	}
}

// askForIDToken returns a command that prints somebody's ID token, without a
// browser and without more tools than curl and sed.
func (d *Demo) askForIDToken(name string) string {
	form := url.Values{
		"grant_type": {"password"}, "client_id": {client},
		"username": {name}, "password": {people[name].Password},
	}
	return "curl -fsS " + d.Provider + "/token -d '" + form.Encode() + `' | sed 's/.*"id_token":"\([^"]*\)".*/\1/'`
}
