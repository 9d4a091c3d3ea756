package tokenendpoint

import (
	"bytes"
	"io"
	"net/http"
)

// ServiceOf returns the service that a token request names, "" if it names
// none or is not readable, for who has to choose among several endpoints. The
// body of a POST is there again afterwards, as far as an [Endpoint] reads it.
func ServiceOf(r *http.Request) string {
	query := r.URL.RawQuery
	if r.Method == http.MethodPost && r.Body != nil {
		body := r.Body
		read, err := io.ReadAll(io.LimitReader(body, maxForm+1))
		if err != nil {
			return ""
		}
		r.Body = &rereadBody{Reader: io.MultiReader(bytes.NewReader(read), body), Closer: body}
		query = string(read)
	}
	if len(query) > maxForm {
		return ""
	}
	p, err := parseParameters(query)
	if err != nil {
		return ""
	}
	return p.get("service")
}

// rereadBody is a body whose beginning was put back.
type rereadBody struct {
	io.Reader
	io.Closer
}
