package authn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// serviceBody is the most that is read of a service's answer, in bytes.
const serviceBody = 256 << 10

// checkService says whether credentials may be sent to a URL: by TLS, or
// within this machine.
func checkService(raw string, insecure bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("%.120q: want an absolute URL such as https://host/path", raw)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("URL: want neither a user, nor a query, nor a fragment")
	case u.Scheme == "https", u.Scheme == "http" && (insecure || isLoopback(u.Hostname())):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("%.120q: anybody between could read the credentials: want https", raw)
	}
	return fmt.Errorf("%.120q: want https", raw)
}

// decodeService reads the one JSON object that a service answers with; with
// strict, fields that are not known are an error.
func decodeService(resp *http.Response, strict bool, to any) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, serviceBody+1))
	if err != nil {
		return err
	}
	if len(body) > serviceBody {
		return fmt.Errorf("answer is larger than %d bytes", serviceBody)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("answer: data after the JSON object")
	}
	return nil
}
