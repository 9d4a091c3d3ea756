// Package slapd runs a real OpenLDAP server with a few people and groups.
package slapd

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

// The service account that may search.
const (
	ServiceDN       = "cn=gateway,dc=example,dc=test"
	ServicePassword = "gateway-pw"
)

// People is the entry below which people are, Groups that of groups.
const (
	People = "ou=people,dc=example,dc=test"
	Groups = "ou=groups,dc=example,dc=test"
)

// Server is a directory. Everybody's password is NAME-pw. alice is in
// team-maintainers, which is in everyone; bob in staff; carol's account is
// locked.
type Server struct {
	// URL is without encryption (and takes StartTLS), SecureURL with.
	URL, SecureURL string
	// CA is the file of the authority of its certificate.
	CA string

	process *process.Process
}

// Start starts the server, with its files in dir.
func Start(ctx context.Context, dir string) (*Server, error) {
	var ports [2]int
	for i := range ports {
		var err error
		if ports[i], err = process.FreePort(); err != nil {
			return nil, err
		}
	}
	s := &Server{
		URL: fmt.Sprintf("ldap://127.0.0.1:%d", ports[0]), SecureURL: fmt.Sprintf("ldaps://127.0.0.1:%d", ports[1]),
		CA: filepath.Join(dir, "ca.pem"),
	}
	if err := writeCertificates(dir); err != nil {
		return nil, fmt.Errorf("start slapd: %w", err)
	}
	database := filepath.Join(dir, "db")
	if err := os.MkdirAll(database, 0o755); err != nil {
		return nil, fmt.Errorf("start slapd: %w", err)
	}
	config := filepath.Join(dir, "slapd.conf")
	for name, text := range map[string]string{
		config:                          strings.ReplaceAll(configuration, "DIR", dir),
		filepath.Join(dir, "seed.ldif"): seed,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("start slapd: %w", err)
		}
	}
	cmd := exec.Command(program(), "-f", config, "-h", s.URL+" "+s.SecureURL, "-d", "0")
	var err error
	if s.process, err = process.Start("slapd", cmd, filepath.Join(dir, "slapd.log")); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := s.process.Ready(ctx, func(ctx context.Context) error {
		return s.tool(ctx, "ldapadd", "-c", "-f", filepath.Join(dir, "seed.ldif"))
	}); err != nil {
		_ = s.Stop()
		return nil, err
	}
	return s, nil
}

// program is slapd, which is not everywhere in the PATH.
func program() string {
	if path, err := exec.LookPath("slapd"); err == nil {
		return path
	}
	return "/usr/sbin/slapd"
}

// Change applies an LDIF change record.
func (s *Server) Change(ctx context.Context, ldif string) error {
	cmd := s.command(ctx, "ldapmodify")
	cmd.Stdin = strings.NewReader(ldif)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ldapmodify: %w: %s", err, out)
	}
	return nil
}

// SignIn signs somebody in at the server itself.
func (s *Server) SignIn(ctx context.Context, dn, password string) error {
	out, err := exec.CommandContext(ctx, "ldapwhoami", "-x", "-H", s.URL, "-D", dn, "-w", password).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ldapwhoami: %w: %s", err, out)
	}
	return nil
}

func (s *Server) tool(ctx context.Context, name string, args ...string) error {
	out, err := s.command(ctx, name, args...).CombinedOutput()
	if err != nil && !bytes.Contains(out, []byte("Already exists")) {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, name, append([]string{"-x", "-H", s.URL, "-D", "cn=admin,dc=example,dc=test", "-w", "admin-pw"}, args...)...)
}

// Freeze makes the server hang, Thaw lets it go on.
func (s *Server) Freeze() error { return syscall.Kill(s.process.Pid(), syscall.SIGSTOP) }

// Thaw ends what Freeze began.
func (s *Server) Thaw() error { return syscall.Kill(s.process.Pid(), syscall.SIGCONT) }

// Stop ends the server.
func (s *Server) Stop() error { return s.process.Stop() }

const configuration = `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
pidfile DIR/slapd.pid
argsfile DIR/slapd.args
TLSCACertificateFile DIR/ca.pem
TLSCertificateFile DIR/server.pem
TLSCertificateKeyFile DIR/server.key
database mdb
maxsize 67108864
suffix "dc=example,dc=test"
rootdn "cn=admin,dc=example,dc=test"
rootpw admin-pw
directory DIR/db
index objectClass,uid,member eq
overlay memberof
overlay ppolicy
ppolicy_default "cn=policy,dc=example,dc=test"
ppolicy_use_lockout
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=people,dc=example,dc=test" by dn="cn=gateway,dc=example,dc=test" read by self read by anonymous auth by * none
access to * by dn="cn=gateway,dc=example,dc=test" read by users read by anonymous auth by * none
`

const seed = `dn: dc=example,dc=test
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: cn=policy,dc=example,dc=test
objectClass: device
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 1000

dn: cn=gateway,dc=example,dc=test
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: gateway
userPassword: gateway-pw

dn: ou=people,dc=example,dc=test
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=test
objectClass: organizationalUnit
ou: groups

dn: uid=alice,ou=people,dc=example,dc=test
objectClass: inetOrgPerson
uid: alice
cn: Alice
displayName: Alice Archer
sn: Archer
mail: alice@example.test
departmentNumber: 42
userPassword: alice-pw

dn: uid=bob,ou=people,dc=example,dc=test
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: Builder
userPassword: bob-pw

dn: uid=carol,ou=people,dc=example,dc=test
objectClass: inetOrgPerson
uid: carol
cn: Carol
sn: Cut
userPassword: carol-pw
pwdAccountLockedTime: 000001010000Z

dn: cn=team-maintainers,ou=groups,dc=example,dc=test
objectClass: groupOfNames
cn: team-maintainers
member: uid=alice,ou=people,dc=example,dc=test
member: uid=carol,ou=people,dc=example,dc=test

dn: cn=staff,ou=groups,dc=example,dc=test
objectClass: groupOfNames
cn: staff
member: uid=bob,ou=people,dc=example,dc=test

dn: cn=everyone,ou=groups,dc=example,dc=test
objectClass: groupOfNames
cn: everyone
member: cn=team-maintainers,ou=groups,dc=example,dc=test
member: cn=staff,ou=groups,dc=example,dc=test
`
