package clients

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
)

// failure is what can go wrong with an authenticator.
type failure string

const (
	wrongSecret failure = "wrong secret"
	accountGone failure = "account gone" // disabled, removed or over
	hugeInput   failure = "huge input"   // a megabyte from a client
	hugeAnswer  failure = "huge answer"  // from who is asked
	rotation    failure = "rotation"     // keys or secrets are replaced while the gateway runs
	slow        failure = "slow"         // who is asked does not answer
	down        failure = "down"         // who is asked is away, what is read is broken
)

// failures are all of them, in the order in which they are played: what is
// down stays so.
var failures = []failure{wrongSecret, accountGone, hugeAnswer, rotation, slow, down}

// cell says what happens to an authenticator, how it is answered under /v2/,
// and what the client of its row prints. Status 0: TLS refuses. none says why
// there is no such thing.
type cell struct {
	what   string
	status int
	says   string
	none   string
}

// What docker and skopeo print. "unauthorized" is the code of the 401's body.
const (
	dockerRefused     = "unauthorized"
	dockerUnavailable = "503 Service Unavailable"
	dockerMalformed   = "the Authorization header is malformed"
	dockerIn          = "Login Succeeded"
	skopeoRefused     = "invalid username/password"
	skopeoMalformed   = "400"
	skopeoDenied      = "denied"
	skopeoNoTLS       = "tls:"
	skopeoNoLine      = "pinging container registry" // it may be reset before TLS says why
)

const (
	noProvider = "nobody is asked: all is in the configuration"
	inFront    = "the proxy is in front: while it is away or slow, no request arrives"
	noList     = "what is read is no longer than what the client shows"
)

// failureMatrix is what each authenticator does about each failure. Each cell
// is played against the real counterpart, with a real client.
var failureMatrix = map[string]map[failure]cell{
	"oidc": {
		wrongSecret: {what: "an ID token with another signature, one for somebody else, one of an unknown issuer", status: 401, says: dockerRefused},
		accountGone: {what: "the provider dismisses somebody: no new ID token, and the last one ends", status: 401, says: dockerRefused},
		hugeInput:   {what: "an ID token of 1 MB", status: 400, says: dockerMalformed},
		hugeAnswer:  {none: "TestBrokenProvider has an endless one"},
		rotation:    {what: "old keys are withdrawn: their tokens end, new ones get in", status: 401, says: dockerRefused},
		slow:        {what: "the provider hangs: tokens of keys that are known get in, others wait for 2 s", status: 503, says: dockerUnavailable},
		down:        {what: "the provider is away: tokens of keys that are known get in", status: 503, says: dockerUnavailable},
	},
	"workload": {
		wrongSecret: {what: "another signature, audience, repository or issuer", status: 401, says: dockerRefused},
		accountGone: {what: "the job's token is over, or the robot that it acts as is disabled", status: 401, says: dockerRefused},
		hugeInput:   {what: "a token of 1 MB", status: 400, says: dockerMalformed},
		hugeAnswer:  {none: "TestBrokenProvider has an endless one"},
		rotation:    {what: "old keys are withdrawn: their tokens end, new ones get in", status: 401, says: dockerRefused},
		slow:        {what: "the platform hangs: tokens of keys that are known get in, others wait for 2 s", status: 503, says: dockerUnavailable},
		down:        {what: "the platform is away: tokens of keys that are known get in", status: 503, says: dockerUnavailable},
	},
	"basic_exchange": {
		wrongSecret: {what: "wrong secrets of clients and people", status: 401, says: dockerRefused},
		accountGone: {what: "a client is disabled at the provider", status: 401, says: dockerRefused},
		hugeInput:   {what: "a secret of 1 MB", status: 400, says: dockerMalformed},
		hugeAnswer:  {what: "a client that is in 50,000 groups", status: 503, says: dockerUnavailable},
		rotation:    {what: "the provider signs with new keys and withdraws the old: who is asked about gets in", status: 200, says: dockerIn},
		slow:        {what: "the provider hangs: who was known gets in, others wait for the time-out", status: 503, says: dockerUnavailable},
		down:        {what: "the provider is away: who was known gets in", status: 503, says: dockerUnavailable},
	},
	"ldap": {
		wrongSecret: {what: "wrong and empty passwords, names that are filters", status: 401, says: dockerRefused},
		accountGone: {what: "an account is locked, another deleted", status: 401, says: dockerRefused},
		hugeInput:   {what: "a password of 1 MB", status: 400, says: dockerMalformed},
		hugeAnswer:  {what: "somebody who is in 1,200 groups", status: 503, says: dockerUnavailable},
		rotation:    {what: "a password is changed: the new one gets in, the old one ends", status: 401, says: dockerRefused},
		slow:        {what: "slapd hangs: who was known gets in, others wait for the time-out", status: 503, says: dockerUnavailable},
		down:        {what: "slapd is away: who was known gets in", status: 503, says: dockerUnavailable},
	},
	"htpasswd": {
		wrongSecret: {what: "wrong passwords, an unknown name", status: 401, says: dockerRefused},
		accountGone: {what: "a user is deleted, with the token that he has", status: 401, says: dockerRefused},
		hugeInput:   {what: "a password of 1 MB", status: 400, says: dockerMalformed},
		hugeAnswer:  {what: "the file grows beyond 8 MiB: the users of before stay, and the log says so", status: 200, says: dockerIn},
		rotation:    {what: "a password is changed: the new one gets in, the old one ends", status: 401, says: dockerRefused},
		slow:        {none: "the file is read in the background; what is slow is its hashes, and those have TestFlood"},
		down:        {what: "the file is removed, then half of it written: the users of before stay, and the log says so", status: 200, says: dockerIn},
	},
	"local": {
		wrongSecret: {what: "wrong passwords, an unknown name", status: 401, says: dockerRefused},
		accountGone: {what: "a user is disabled with a reload, with the token that he has", status: 401, says: dockerRefused},
		hugeInput:   {what: "a password of 1 MB", status: 400, says: dockerMalformed},
		hugeAnswer:  {none: noProvider},
		rotation:    {what: "a hash is replaced with a reload: the new password gets in, the old one ends", status: 401, says: dockerRefused},
		slow:        {none: noProvider},
		down:        {none: noProvider},
	},
	"robots": {
		wrongSecret: {what: "a wrong secret, and one with a right checksum", status: 401, says: skopeoRefused},
		accountGone: {what: "disabled, expired, and removed with a reload, with the token that it has", status: 401, says: skopeoRefused},
		hugeInput:   {what: "a secret of 1 MB", status: 400, says: skopeoMalformed},
		hugeAnswer:  {none: noProvider},
		rotation:    {what: "the secret is replaced with a reload: the new one gets in, the old one ends", status: 401, says: skopeoRefused},
		slow:        {none: "robots of a store are in memory: package cluster takes the store away"},
		down:        {none: "robots of a store are in memory: package cluster takes the store away"},
	},
	"external": {
		wrongSecret: {what: "the service answers 401, or 404 for a name that it does not know", status: 401, says: dockerRefused},
		accountGone: {what: "the service answers 403", status: 401, says: dockerRefused},
		hugeInput:   {what: "a password of 1 MB", status: 400, says: dockerMalformed},
		hugeAnswer:  {what: "the service answers with 2 MB of groups", status: 503, says: dockerUnavailable},
		rotation:    {what: "a password is changed at the service: the new one gets in, the old one ends", status: 401, says: dockerRefused},
		slow:        {what: "the service hangs: who was known gets in, others wait for the time-out", status: 503, says: dockerUnavailable},
		down:        {what: "the service refuses connections: who was known gets in", status: 503, says: dockerUnavailable},
	},
	"token_review": {
		wrongSecret: {what: "another signature, a token for another audience", status: 401, says: skopeoRefused},
		accountGone: {what: "the pod is deleted", status: 401, says: skopeoRefused},
		hugeInput:   {what: "a token of 1 MB", status: 400, says: skopeoMalformed},
		hugeAnswer:  {what: "the API server answers with 2 MB", status: 503, says: "503"},
		rotation:    {what: "the cluster has new keys, and the gateway's own token is replaced: tokens of before end", status: 401, says: skopeoRefused},
		slow:        {what: "the API server hangs: who was known gets in, others wait for the time-out", status: 503, says: "503"},
		down:        {what: "the API server refuses connections: who was known gets in", status: 503, says: "503"},
	},
	"service_secret": {
		wrongSecret: {what: "a wrong secret, and the right one as a password", status: 401, says: "401 Unauthorized"},
		accountGone: {what: "the service is removed with a reload, with the token that it has", status: 401, says: "401 Unauthorized"},
		hugeInput:   {what: "a secret of 1 MB", status: 400, says: "400 Bad Request"},
		hugeAnswer:  {none: noProvider},
		rotation:    {what: "two secrets for a while, then the new one only", status: 401, says: "401 Unauthorized"},
		slow:        {none: noProvider},
		down:        {none: noProvider},
	},
	"mtls": {
		wrongSecret: {what: "a certificate that stands for nobody", status: 401, says: skopeoDenied},
		accountGone: {what: "a certificate that is over", status: 0, says: skopeoNoTLS},
		hugeInput:   {what: "a certificate of 1 MB", status: 0, says: skopeoNoLine},
		hugeAnswer:  {none: noList},
		rotation:    {what: "a renewed certificate gets in; with another authority and a reload the old one ends", status: 0, says: skopeoNoTLS},
		slow:        {none: noProvider},
		down:        {none: noProvider},
	},
	"trusted_headers": {
		wrongSecret: {what: "headers of somebody who is not the proxy, and a wrong password at the proxy", status: 401, says: skopeoRefused},
		accountGone: {what: "the person is locked at the proxy", status: 401, says: skopeoRefused},
		hugeInput:   {what: "headers of 1 MB, by the proxy", status: 401, says: "401 Unauthorized"},
		hugeAnswer:  {none: noList},
		rotation:    {what: "the proxy's certificate is renewed: people get in; one for another name does not", status: 401, says: "401 Unauthorized"},
		slow:        {none: inFront},
		down:        {none: inFront},
	},
}

// TestFailureMatrixIsComplete finds authenticators without a row, and rows
// without a cell.
func TestFailureMatrixIsComplete(t *testing.T) {
	program, err := gateway.Build()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, "list-modules").Output()
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(out)) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "registry_auth.authenticators.")
		if !ok {
			continue
		}
		rows++
		for _, f := range append([]failure{hugeInput}, failures...) {
			c, ok := failureMatrix[name][f]
			played := c.what != "" && c.says != "" && c.none == ""
			reasoned := c.none != "" && c.what == "" && c.status == 0
			if !ok || played == reasoned {
				t.Errorf("no cell for %s, %s", name, f)
			}
		}
	}
	if rows != len(failureMatrix) {
		t.Errorf("%d authenticators, %d rows", rows, len(failureMatrix))
	}
}
