module github.com/caddy-registry-auth/caddy-registry-auth/e2e

go 1.26.0
