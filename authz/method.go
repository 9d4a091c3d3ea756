package authz

import (
	"fmt"
	"net/http"
	"strings"
)

// methodSet is a set of HTTP methods.
type methodSet uint8

const (
	methodGet methodSet = 1 << iota
	methodHead
	methodPost
	methodPut
	methodPatch
	methodDelete

	methodsRead = methodGet | methodHead
	methodsAll  = methodsRead | methodPost | methodPut | methodPatch | methodDelete
)

var methodNames = [...]string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
}

// methodOf returns the set of one method, or the empty set for a method that
// the registry API does not use. Methods are case-sensitive (RFC 9110 §9.1).
func methodOf(name string) methodSet {
	switch name {
	case http.MethodGet:
		return methodGet
	case http.MethodHead:
		return methodHead
	case http.MethodPost:
		return methodPost
	case http.MethodPut:
		return methodPut
	case http.MethodPatch:
		return methodPatch
	case http.MethodDelete:
		return methodDelete
	}
	return 0
}

// parseMethods makes a set of names, for the configuration.
func parseMethods(names []string) (methodSet, error) {
	var set methodSet
	for _, name := range names {
		m := methodOf(name)
		if m == 0 {
			return 0, fmt.Errorf("unknown method %q: want one of %s", name, methodsAll)
		}
		set |= m
	}
	return set, nil
}

// String joins the names as the Allow header wants them.
func (s methodSet) String() string {
	var names []string
	for i, name := range methodNames {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// refusal is the answer to a method outside of the set.
func (s methodSet) refusal() *RequestError {
	return &RequestError{
		Status:  http.StatusMethodNotAllowed,
		Code:    "UNSUPPORTED",
		Message: "this endpoint takes " + s.String() + " only",
		Allow:   s.String(),
	}
}
