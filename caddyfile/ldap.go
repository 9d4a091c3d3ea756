package caddyfile

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// LDAP reads a directory. With it comes the JSON of the module that supplies
// the certificate authorities to trust, nil if none was named.
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
func LDAP(d *caddyfile.Dispenser) (authn.LDAPConfig, json.RawMessage, error) {
	var c authn.LDAPConfig
	var trust json.RawMessage
	if c.URLs = d.RemainingArgs(); len(c.URLs) == 0 {
		return c, nil, d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		if d.Val() == "trust_pool" {
			trust, err = trustPool(d, trust)
		} else {
			err = ldapLine(d, &c)
		}
		if err != nil {
			return c, nil, err
		}
	}
	if err := c.Validate(); err != nil {
		return c, nil, d.WrapErr(err)
	}
	return c, trust, nil
}

func ldapLine(d *caddyfile.Dispenser, c *authn.LDAPConfig) error {
	switch d.Val() {
	case "bind_as":
		return scalar(d, &c.BindAs)
	case "search":
		return upTo(d, &c.SearchBase, &c.SearchFilter)
	case "service_account":
		return serviceAccount(d, c)
	case "username":
		return scalar(d, &c.Username)
	case "email":
		return scalar(d, &c.Email)
	case "display_name":
		return scalar(d, &c.DisplayName)
	case "attribute":
		return appendList(d, &c.Attributes)
	case "member_of":
		return memberOf(d, c)
	case "group_search":
		return upTo(d, &c.GroupBase, &c.GroupFilter)
	case "group_name":
		return scalar(d, &c.GroupName)
	case "nested":
		return scalar(d, &c.Nested)
	case "required_group":
		return appendList(d, &c.RequiredGroups)
	case "prefix":
		return scalar(d, &c.Prefix)
	case "cache":
		return duration(d, &c.Cache, "")
	case "cache_failures":
		return duration(d, &c.CacheFailures, "")
	case "timeout":
		return duration(d, &c.Timeout, "")
	case "connections":
		return connections(d, &c.Connections)
	case "starttls":
		return flag(d, &c.StartTLS)
	case "insecure_plaintext":
		return flag(d, &c.InsecurePlaintext)
	}
	if known, err := recheckLine(d, &c.RecheckConfig); known {
		return err
	}
	return unrecognized(d, "ldap", "bind_as", "search", "service_account", "username", "email", "display_name", "attribute",
		"member_of", "group_search", "group_name", "nested", "required_group", "prefix", "cache", "cache_failures",
		"timeout", "connections", "trust_pool", "starttls", "insecure_plaintext", "recheck", "recheck_grace", "sign_in_max_age")
}

// serviceAccount reads a name and a password.
func serviceAccount(d *caddyfile.Dispenser, c *authn.LDAPConfig) error {
	if c.ServiceDN != "" {
		return d.Err("service_account: given twice")
	}
	if !d.AllArgs(&c.ServiceDN, &c.ServicePassword) {
		return d.ArgErr()
	}
	return absoluteFile(d, c.ServicePassword)
}

// memberOf reads an attribute, and below which entry the groups must be.
func memberOf(d *caddyfile.Dispenser, c *authn.LDAPConfig) error {
	if c.MemberOf != "" {
		return d.Err("member_of: given twice")
	}
	args := d.RemainingArgs()
	switch {
	case len(args) == 0:
		args = []string{"memberOf"}
	case len(args) > 2:
		return d.ArgErr()
	case len(args) == 2 && c.GroupBase != "":
		return d.Err("member_of and group_search are both given")
	case len(args) == 2:
		c.GroupBase = args[1]
	}
	c.MemberOf = args[0]
	return nil
}

// upTo reads one argument and, if it is there, a second.
func upTo(d *caddyfile.Dispenser, first, second *string) error {
	name := d.Val()
	if *first != "" {
		return d.Errf("%s: given twice", name)
	}
	args := d.RemainingArgs()
	if len(args) < 1 || len(args) > 2 || args[0] == "" {
		return d.ArgErr()
	}
	*first = args[0]
	if len(args) == 2 {
		*second = args[1]
	}
	return nil
}

// connections reads a number of at least one.
func connections(d *caddyfile.Dispenser, to *int) error {
	name, text := d.Val(), ""
	if *to != 0 {
		return d.Errf("%s: given twice", name)
	}
	if err := scalar(d, &text); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return d.Errf("%s: %q is not a number of at least 1", name, text)
	}
	*to = n
	return nil
}

// absoluteFile refuses what Caddy has made of {file.…} with a relative path.
func absoluteFile(d *caddyfile.Dispenser, secret string) error {
	if strings.Contains(secret, "{http.request.") {
		return d.Errf("%s: {file.…} with a relative path means a request header of the path matcher here; write an absolute path, {file./run/secrets/name}", d.Val())
	}
	return nil
}
