package portal

import "net/http"

// IsWorker reports whether a browser fetches the program of a service worker
// (Service Workers §4.4). One that is served beside the pages, on their host,
// could read and answer what they show in every tab from then on.
func IsWorker(r *http.Request) bool { return len(r.Header["Service-Worker"]) > 0 }
