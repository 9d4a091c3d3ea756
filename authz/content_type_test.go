package authz

import (
	"net/http"
	"net/url"
	"testing"
)

func TestParseRequestContentType(t *testing.T) {
	u := &url.URL{Path: "/v2/a/blobs/uploads/"}
	for _, forms := range [][]string{
		{"application/x-www-form-urlencoded"},
		{"application/x-www-form-urlencoded; charset=utf-8"},
		{" Application/X-WWW-Form-URLEncoded\t;x"},
		{"application/x-www-form-urlencoded;\x00"},
		{"application / x-www-form-urlencoded"},
		{"multipart/form-data; boundary=b"},
		{"MULTIPART/Mixed"},
		{"multi\u00a0part/form-data"},
		{"application/json", "application/x-www-form-urlencoded"},
		{"multipart/form-data", "application/json"},
		{"application/json, multipart/form-data"},
		{`application/json; x="y", application/x-www-form-urlencoded`},
		{";multipart/form-data"},
		{"", "multipart/form-data"},
	} {
		for _, method := range append([]string{"OPTIONS"}, methodNames[:]...) {
			if _, err := ParseRequest(method, u, http.Header{"Content-Type": forms}, nil); err != errForm {
				t.Errorf("%s %q: %v", method, forms, err)
			}
		}
	}
	for _, others := range [][]string{
		nil,
		{""},
		{"application/json"},
		{"application/octet-stream"},
		{"application/vnd.oci.image.manifest.v1+json"},
		{"application/vnd.docker.distribution.manifest.list.v2+json; charset=utf-8"},
		{"application/vnd.example.form+json"},
		{"text/plain"},
	} {
		if _, err := ParseRequest("POST", u, http.Header{"Content-Type": others}, nil); err != nil {
			t.Errorf("%q: %v", others, err)
		}
	}
}
