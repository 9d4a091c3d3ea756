package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
)

// Lists come page by page; All asks for the next one when it is needed.
func ExampleAll() {
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("cursor") == "" {
			fmt.Fprint(w, `{"items":[{"name":"ci"}],"next":"2"}`)
			return
		}
		fmt.Fprint(w, `{"items":[{"name":"deploy"}]}`)
	}))
	defer gateway.Close()
	c, err := client.New(client.Options{Address: gateway.URL, Key: "craak_example"})
	if err != nil {
		panic(err)
	}
	type robot struct {
		Name string `json:"name"`
	}
	for r, err := range client.All[robot](context.Background(), c, client.Path("robots"), nil) {
		fmt.Println(r.Name, err)
	}
	// Output:
	// ci <nil>
	// deploy <nil>
}
