package migrate_test

import (
	"fmt"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/migrate"
)

// The accounts of a htpasswd file become robots with the rights that are
// given. What cannot be carried over is named.
func ExampleHtpasswd() {
	file := "ci:$2y$10$7IvSNW1iJqAg3DbfTNlIV.XMvg9/CKC6wJMQMEfXZ2I.UYt1viqVS\nold:plain text\n"
	result, err := migrate.Htpasswd([]byte(file), []management.Permission{{Type: "repository", Name: "team-a/**", Actions: []string{"pull"}}})
	if err != nil {
		panic(err)
	}
	for _, r := range result.Document.Robots {
		fmt.Println(r.Name, r.Permissions[0].Name, r.Permissions[0].Actions)
	}
	fmt.Println(len(result.Lost), "lost:", result.Lost[0])
	// Output:
	// ci team-a/** [pull]
	// 1 lost: user old: the password is hashed with something else, or not at all, only bcrypt can be carried over: make a robot with a new secret
}
