package duration_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/duration"
)

// One grammar everywhere: what JSON takes, the Caddyfile and the command line
// take, too.
func ExampleParse() {
	for _, text := range []string{"90s", "1d12h", "7d"} {
		d, err := duration.Parse(text)
		fmt.Println(time.Duration(d), err)
	}
	var d duration.Duration
	err := json.Unmarshal([]byte(`"7d"`), &d)
	fmt.Println(time.Duration(d), err)
	// Output:
	// 1m30s <nil>
	// 36h0m0s <nil>
	// 168h0m0s <nil>
	// 168h0m0s <nil>
}
