package authz

import "net/http"

// RequestError says why a request is refused before anybody looks at who
// sent it: it is not well-formed, or not part of the registry API.
//
// The values that ParseRequest returns are shared; do not change them.
type RequestError struct {
	// Status is the HTTP status of the answer.
	Status int

	// Code is an error code of the distribution-spec, such as NAME_INVALID.
	Code string

	// Message tells a person what is wrong. It never repeats what the client
	// sent.
	Message string

	// Allow is the value of the Allow header that belongs to status 405
	// (RFC 9110 §15.5.6), empty otherwise.
	Allow string
}

// Error returns the code and the message.
func (e *RequestError) Error() string { return e.Code + ": " + e.Message }

func badRequest(code, message string) *RequestError {
	return &RequestError{Status: http.StatusBadRequest, Code: code, Message: message}
}

// One value per reason, so that a refusal allocates nothing.
var (
	errForm = &RequestError{
		Status:  http.StatusUnsupportedMediaType,
		Code:    "UNSUPPORTED",
		Message: "form and multipart bodies are not part of the registry API",
	}
	errUnknownRoute = &RequestError{
		Status:  http.StatusNotFound,
		Code:    "UNSUPPORTED",
		Message: "no such endpoint in the registry API",
	}
	errExtension = &RequestError{
		Status:  http.StatusNotFound,
		Code:    "UNSUPPORTED",
		Message: "this extension of the registry API is not enabled here",
	}

	errPathEncoded = badRequest("NAME_INVALID",
		"the path must not contain percent-encoding, other than %3A for the colon of a digest")
	errPathCharacter = badRequest("NAME_INVALID",
		"the path contains a character that no registry path has")
	errPathSegment = badRequest("NAME_INVALID",
		`the path must not contain empty, "." or ".." segments, nor end in a slash`)

	errName = badRequest("NAME_INVALID",
		"a repository name has at most 255 characters: components of lower-case letters and digits, "+
			`parted by ".", "_", "__" or dashes, and joined by "/"`)
	errDigest = badRequest("DIGEST_INVALID",
		"a digest is an algorithm, a colon and lower-case hexadecimal digits (64 for sha256, 128 for sha512)")
	errUploadID = badRequest("BLOB_UPLOAD_INVALID",
		`an upload id consists of letters, digits, "-", "_", "." and "="`)
	errTag = badRequest("MANIFEST_INVALID",
		`a tag has at most 128 letters, digits, "_", "." and "-", and starts with none of the last two`)
	// A tag that cannot exist is asked for: the answer is that of a tag that
	// does not exist, which is also what the conformance tests want.
	errTagUnknown = &RequestError{
		Status:  http.StatusNotFound,
		Code:    "MANIFEST_UNKNOWN",
		Message: "no manifest can have this tag: " + errTag.Message,
	}

	errQuery = badRequest("UNSUPPORTED",
		"the query is not well-formed: it must be percent-encoded, without semicolons and control characters")
	errQueryLong = &RequestError{
		Status:  http.StatusRequestURITooLong,
		Code:    "UNSUPPORTED",
		Message: "the query is longer than 16 KiB",
	}
	errQueryKey = badRequest("UNSUPPORTED",
		"the names of registry parameters must be written in plain lower-case letters")
	errQueryRepeated = badRequest("UNSUPPORTED",
		"a parameter is given twice of which the registry API knows one")
	errQueryTags = &RequestError{
		Status:  http.StatusRequestURITooLong,
		Code:    "UNSUPPORTED",
		Message: "more than 100 tags in one request",
	}
	errPagination = badRequest("PAGINATION_NUMBER_INVALID",
		"n must be a number from 0 to 9999999")
)
