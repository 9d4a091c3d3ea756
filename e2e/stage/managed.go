package stage

// A managed stage has what a gateway knows at run time only: people who sign
// in with the browser at the first provider, the management API, which nobody
// administers yet (see BootstrapSecret), identity tokens that are rotated, and
// a user with a password, LocalUser.
const (
	// managedLog keeps what clients write into queries out of the access log.
	managedLog = `{
		format filter {
			request>uri regexp [?].* ?…
		}
	}`
	managedSignIn = `client_secret {env.CLIENT_SECRET}
			scopes openid profile groups`
	managedToken = `
			refresh_tokens on
			refresh_token_rotation on`
	managedRealm = `
		local {
			prefix local-
			user alice {env.HASH_ALICE}
		}
		management {
			harbor_robots
			bootstrap {
				secret {env.BOOTSTRAP_SECRET}
			}
		}`
)

// LocalUser logs in with LocalPassword, of which the gateway has LocalHash.
// Rules call it local-alice: it is another person than the provider's alice.
const (
	LocalUser     = "alice"
	LocalPassword = "the-password-of-the-local-alice"
	LocalHash     = "$argon2id$v=19$m=19456,t=2,p=1$L5ZwZHCxNdm2A3uNQUDL7A$HxcYpga6GJeZhuX9HGPNpQnP4BdoEHPQ/0pslXy9nY4"
)
