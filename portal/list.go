package portal

import (
	"strconv"
	"strings"
)

// pageSize is how many rows a list shows at once.
const pageSize = 50

// maxQuery is how long something to search for may be, in bytes.
const maxQuery = 200

// query returns a parameter of the page's address.
func (x *exchange) query(name string) string {
	v := strings.TrimSpace(x.r.URL.Query().Get(name))
	if len(v) > maxQuery {
		v = v[:maxQuery]
	}
	return strings.ToValidUTF8(v, "")
}

// part returns the rows of the page that is asked for, and where the next is.
func (x *exchange) part(rows [][]cell) ([][]cell, string) {
	page, err := strconv.Atoi(x.r.URL.Query().Get("page"))
	if err != nil || page < 0 || page > 1_000_000 {
		page = 0
	}
	from := min(page*pageSize, len(rows))
	to := min(from+pageSize, len(rows))
	if to == len(rows) {
		return rows[from:to], ""
	}
	return rows[from:to], x.with("page", strconv.Itoa(page+1))
}

// with returns this page's address with a parameter changed.
func (x *exchange) with(name, value string) string {
	q := x.r.URL.Query()
	q.Del("done")
	q.Set(name, value)
	return x.r.URL.Path + "?" + q.Encode()
}

// notice says what the form before this page has done.
func (x *exchange) notice() string { return notices[x.r.URL.Query().Get("done")] }
