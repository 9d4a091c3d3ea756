package answer

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// Code is an error code of the distribution specification ("Error Codes").
type Code string

// The codes that the gateway answers with.
const (
	CodeUnauthorized      Code = "UNAUTHORIZED"
	CodeDenied            Code = "DENIED"
	CodeUnsupported       Code = "UNSUPPORTED"
	CodeNameInvalid       Code = "NAME_INVALID"
	CodeNameUnknown       Code = "NAME_UNKNOWN"
	CodeDigestInvalid     Code = "DIGEST_INVALID"
	CodeTagInvalid        Code = "TAG_INVALID"
	CodeManifestInvalid   Code = "MANIFEST_INVALID"
	CodeManifestUnknown   Code = "MANIFEST_UNKNOWN"
	CodeBlobUnknown       Code = "BLOB_UNKNOWN"
	CodeBlobUploadInvalid Code = "BLOB_UPLOAD_INVALID"
	CodeBlobUploadUnknown Code = "BLOB_UPLOAD_UNKNOWN"
	CodeSizeInvalid       Code = "SIZE_INVALID"
	CodeTooManyRequests   Code = "TOOMANYREQUESTS"
	CodeUnavailable       Code = "UNAVAILABLE"
	CodeUnknown           Code = "UNKNOWN"
)

// genericMessages are the texts that Docker takes for "no message" and hides
// behind the bare code. They are never sent.
var genericMessages = map[string]bool{
	"authentication required":                        true,
	"requested access to the resource is denied":     true,
	"the operation is unsupported.":                  true,
	"service unavailable":                            true,
	"too many requests":                              true,
	"unknown error":                                  true,
	"invalid repository name":                        true,
	"repository name not known to registry":          true,
	"provided digest did not match uploaded content": true,
	"manifest tag did not match uri":                 true,
	"manifest invalid":                               true,
	"manifest unknown":                               true,
	"blob unknown to registry":                       true,
	"blob upload invalid":                            true,
	"blob upload unknown to registry":                true,
	"provided length did not match content length":   true,
}

// describe returns a message that clients show: the one given, or one made of
// the status and the code if it is empty or says nothing.
func describe(status int, code Code, message string) string {
	if message != "" && !genericMessages[strings.ToLower(message)] {
		return message
	}
	if code == CodeUnauthorized {
		return "this registry wants you to log in"
	}
	return "the registry's gateway refuses the request: " + strings.ToLower(http.StatusText(status))
}

// Document is the error document of the distribution specification. The two
// members of RFC 6749 §5.2 are there at the token endpoint only.
type Document struct {
	OAuth       string `json:"error,omitempty"`
	Description string `json:"error_description,omitempty"`
	Errors      []Item `json:"errors"`
}

// Item is one error of a [Document].
type Item struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Detail  any    `json:"detail,omitempty"`
}

// Write answers with the error document that registry clients read. The
// message is for people: say what is wrong and what to do about it. A detail
// must not be a secret and may be nil.
func Write(w http.ResponseWriter, r *http.Request, status int, code Code, message string, detail any) {
	message = describe(status, code, message)
	write(w, r, status, Document{Errors: []Item{{code, message, detail}}})
}

// WriteOAuth answers in both languages that clients of the token endpoint
// speak: RFC 6749 §5.2 and the distribution specification.
func WriteOAuth(w http.ResponseWriter, r *http.Request, status int, oauth string, code Code, message string) {
	message = describe(status, code, message)
	write(w, r, status, Document{
		OAuth: oauth, Description: message,
		Errors: []Item{{Code: code, Message: message}},
	})
}

func write(w http.ResponseWriter, r *http.Request, status int, body Document) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // messages are read by people in terminals
	if err := encoder.Encode(body); err != nil {
		body.Errors[0].Detail = nil // not a value that JSON knows; the rest is text
		out.Reset()
		_ = encoder.Encode(body)
	}
	WriteJSON(w, r, status, out.Bytes())
}

// WriteJSON answers with a document that nobody may keep.
func WriteJSON(w http.ResponseWriter, r *http.Request, status int, document []byte) {
	h := w.Header()
	h["Docker-Distribution-Api-Version"] = apiVersion
	h["Content-Type"] = contentJSON
	h["Cache-Control"] = noStore
	h["Content-Length"] = []string{strconv.Itoa(len(document))}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(document) // the client went away: nobody to tell
	}
}

// Header values that never change, shared by all answers.
var (
	apiVersion  = []string{"registry/2.0"}
	contentJSON = []string{"application/json"}
	noStore     = []string{"no-store"}
)
