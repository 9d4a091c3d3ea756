package methods

import (
	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// LDAP is the authenticator for the passwords of people in a directory.
type LDAP struct {
	authn.LDAPConfig
	caddyfile.Trust
	Held
}

// CaddyModule returns the Caddy module information.
func (LDAP) CaddyModule() caddy.ModuleInfo {
	return info(authn.LDAPName, func() caddy.Module { return new(LDAP) })
}

// UnmarshalCaddyfile reads a directory:
//
//	ldap <url...> {
//		bind_as            <name with {user}>
//		search             <base> [<filter>]
//		service_account    <name> <password>
//		username           <attribute>
//		email              <attribute>
//		display_name       <attribute>
//		attribute          <attribute...>
//		member_of          [<attribute> [<base>]]
//		group_search       <base> [<filter>]
//		group_name         <attribute>|dn
//		nested             recursive|in_chain
//		required_group     <group...>
//		prefix             <prefix>
//		cache              <duration>
//		cache_failures     <duration>
//		timeout            <duration>
//		connections        <number>
//		recheck            <duration>|off
//		recheck_grace      <duration>|off
//		sign_in_max_age    <duration>|off
//		trust_pool         <module> …
//		starttls
//		insecure_plaintext
//	}
func (l *LDAP) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	if l.URLs = d.RemainingArgs(); len(l.URLs) == 0 {
		return d.ArgErr()
	}
	if err := l.options().Read(d, "ldap"); err != nil {
		return err
	}
	return caddyfile.Valid(d, l.LDAPConfig)
}

func (l *LDAP) options() caddyfile.Options {
	return caddyfile.Options{
		"bind_as":            caddyfile.Text(&l.BindAs),
		"search":             caddyfile.UpTo(&l.SearchBase, &l.SearchFilter),
		"service_account":    caddyfile.Both(&l.ServiceDN, &l.ServicePassword, caddyfile.AbsoluteFile),
		"username":           caddyfile.Text(&l.Username),
		"email":              caddyfile.Text(&l.Email),
		"display_name":       caddyfile.Text(&l.DisplayName),
		"attribute":          caddyfile.List(&l.Attributes),
		"member_of":          l.memberOf,
		"group_search":       caddyfile.UpTo(&l.GroupBase, &l.GroupFilter),
		"group_name":         caddyfile.Text(&l.GroupName),
		"nested":             caddyfile.Text(&l.Nested),
		"required_group":     caddyfile.List(&l.RequiredGroups),
		"prefix":             caddyfile.Text(&l.Prefix),
		"cache":              caddyfile.Span(&l.Cache),
		"cache_failures":     caddyfile.Span(&l.CacheFailures),
		"timeout":            caddyfile.Span(&l.Timeout),
		"connections":        caddyfile.Count(&l.Connections),
		"trust_pool":         caddyfile.TrustPool(&l.CARaw),
		"starttls":           caddyfile.Flag(&l.StartTLS),
		"insecure_plaintext": caddyfile.Flag(&l.InsecurePlaintext),
	}.And(caddyfile.Recheck(&l.RecheckConfig))
}

// memberOf reads an attribute, and below which entry the groups must be.
func (l *LDAP) memberOf(d *caddycf.Dispenser) error {
	if l.MemberOf != "" {
		return caddyfile.Twice(d, d.Val())
	}
	args := d.RemainingArgs()
	switch {
	case len(args) == 0:
		args = []string{"memberOf"}
	case len(args) > 2:
		return d.ArgErr()
	case len(args) == 2 && l.GroupBase != "":
		return d.Err("member_of and group_search are both given")
	case len(args) == 2:
		l.GroupBase = args[1]
	}
	l.MemberOf = args[0]
	return nil
}

// Provision resolves the placeholder of the service account's password and
// prepares the authenticator; it does not touch the network.
func (l *LDAP) Provision(ctx caddy.Context) (err error) {
	config := l.LDAPConfig
	if config.ServicePassword != "" {
		if config.ServicePassword, err = caddyfile.Resolve("service_password", config.ServicePassword); err != nil {
			return err
		}
	}
	roots, err := l.Roots(ctx)
	if err != nil {
		return err
	}
	return l.hold(authn.LDAPName, []any{config, l.CARaw}, func() (described, error) {
		return authn.NewLDAP(config, authn.LDAPOptions{Roots: roots, Logger: logger("ldap")})
	})
}
