package authn_test

import (
	"context"
	"fmt"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// A chain asks its authenticators in order, and answers a credential that
// does not hold in one way, whatever is wrong with it.
func ExampleChain() {
	secret, hash := authn.NewSecret(authn.SecretRobot)
	robots, err := authn.NewRobots([]authn.RobotConfig{{Name: "ci", SecretHashes: []string{hash}}}, nil, nil, nil)
	if err != nil {
		panic(err)
	}
	chain := authn.NewChain([]authn.Member{authn.NewMember("robots", robots)}, nil)
	shown := &authn.Credential{Scheme: authn.SchemeBasic, Username: "robot$ci", Secret: secret}

	principal, err := chain.Authenticate(context.Background(), shown)
	fmt.Println(principal, err)

	nobody, err := chain.Authenticate(context.Background(), &authn.Credential{})
	fmt.Println(nobody.IsAnonymous(), err)

	shown.Secret = "guessed"
	_, err = chain.Authenticate(context.Background(), shown)
	fmt.Println(err)
	// Output:
	// robot:ci <nil>
	// true <nil>
	// robots: invalid credential: no such robot or wrong secret
}

// Secrets of this gateway say what they are for and can be told from typing
// errors; what is stored of them is a hash.
func ExampleParseSecret() {
	secret, _ := authn.NewSecret(authn.SecretRobot)
	parsed, err := authn.ParseSecret(secret)
	fmt.Println(parsed.Kind == authn.SecretRobot, len(parsed.ID), err)

	_, err = authn.ParseSecret(secret[:len(secret)-1])
	fmt.Println(err != nil)
	// Output:
	// true 12 <nil>
	// true
}
