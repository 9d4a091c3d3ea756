package caddyfile_test

import (
	"fmt"

	caddy "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// A registry_auth block of a Caddyfile becomes the configuration of a realm.
func ExampleRealm() {
	d := caddy.NewTestDispenser(`registry_auth {
		service registry.example.com
		project team-a/** {
			developer group:dev
			immutable v*
		}
		anonymous_read public/**
	}`)
	config, err := caddyfile.Realm(d)
	if err != nil {
		panic(err)
	}
	project := config.Policy.Projects[0]
	fmt.Println(config.Service, project.Patterns, project.Grants[0].Role, project.Grants[0].Subjects)
	fmt.Println("immutable", project.Immutable[0].Tags, "at", project.Immutable[0].Source)

	_, err = caddyfile.Realm(caddy.NewTestDispenser("registry_auth {\n\tprojct team-a/**\n}"))
	fmt.Println(err)
	// Output:
	// registry.example.com [team-a/**] developer [group:dev]
	// immutable [v*] at Testfile:5
	// unrecognized subdirective "projct" of registry_auth: did you mean "project"?, at Testfile:2
}
