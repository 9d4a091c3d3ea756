package authz_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// A policy is compiled once and decides without a database or network.
func ExamplePolicy_Decide() {
	policy, err := authz.Compile(authz.Config{Projects: []authz.Project{{
		Patterns: []string{"team-a/**"},
		Grants:   []authz.Grant{{Role: "developer", Subjects: []string{"group:dev"}}},
	}}})
	if err != nil {
		panic(err)
	}
	alice := &authn.Principal{Kind: authn.KindUser, Name: "alice", Groups: []string{"dev"}}
	for _, action := range []authz.Action{authz.Push, authz.Delete} {
		d := policy.Decide(alice, &authz.Query{Type: authz.TypeRepository, Repository: "team-a/app", Action: action})
		fmt.Println(action, d.Allowed, d.Reason())
	}
	// Output:
	// push true project team-a/** developer group:dev
	// delete false nothing grants delete on team-a/app to user:alice
}

// A request of the registry API has one reading, or it is refused.
func ExampleParseRequest() {
	u, _ := url.Parse("/v2/team-a/app/blobs/uploads/?mount=sha256:" +
		"6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b&from=library/alpine")
	r, err := authz.ParseRequest(http.MethodPost, u, nil, nil)
	fmt.Println(r.Repository, r.Action(), err)
	source, _ := r.Source()
	fmt.Println(source.Name, source.Actions)

	u, _ = url.Parse("/v2/team-a/../team-b/app/manifests/v1")
	_, err = authz.ParseRequest(http.MethodGet, u, nil, nil)
	var refused *authz.RequestError
	fmt.Println(errors.As(err, &refused), refused.Status, refused.Code)
	// Output:
	// team-a/app push <nil>
	// library/alpine pull
	// true 400 NAME_INVALID
}

// What a token request asks for is merged by resource; what no registry has
// is left out.
func ExampleParseScopes() {
	accesses, err := authz.ParseScopes([]string{"repository:team-a/app:pull", "repository:team-a/app:push,sing registry:catalog:*"})
	fmt.Println(authz.FormatScopes(accesses), err)
	// Output:
	// repository:team-a/app:pull,push registry:catalog:* <nil>
}
