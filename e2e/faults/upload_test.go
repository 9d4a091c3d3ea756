package faults

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// block is what layers are made of.
var block = func() []byte {
	b := make([]byte, 1<<20)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(b)
	return b
}()

// layer is a body of a size that is read at a pace.
type layer struct {
	size, read int
	begin      time.Time
	lasts      time.Duration
}

func (l *layer) Read(p []byte) (int, error) {
	if l.read == l.size {
		return 0, io.EOF
	}
	at := l.read % len(block)
	n := copy(p[:min(len(p), 64<<10, l.size-l.read)], block[at:])
	l.read += n
	time.Sleep(time.Until(l.begin.Add(time.Duration(float64(l.lasts) * float64(l.read) / float64(l.size)))))
	return n, nil
}

// digest is that of a layer of a size.
func digest(size int) string {
	hash := sha256.New()
	_, _ = io.Copy(hash, &layer{size: size})
	return fmt.Sprintf("sha256:%x", hash.Sum(nil))
}

// upload pushes a layer in one go that takes some time, and tells how that is
// answered.
func upload(n *node, authorization string, size int, lasts time.Duration) <-chan reply {
	done := make(chan reply, 1)
	go func() {
		done <- func() reply {
			a := n.send("POST", "/v2/team/app/blobs/uploads/", authorization, "")
			if a.status != http.StatusAccepted {
				return a
			}
			location := a.header.Get("Location")
			separator := "?"
			for _, c := range location {
				if c == '?' {
					separator = "&"
				}
			}
			req, err := http.NewRequest(http.MethodPut, n.URL+location+separator+"digest="+digest(size), &layer{size: size, begin: time.Now(), lasts: lasts})
			if err != nil {
				return reply{err: err}
			}
			req.ContentLength = int64(size)
			req.Header.Set("Authorization", authorization)
			req.Header.Set("Content-Type", "application/octet-stream")
			res, err := client.Do(req)
			if err != nil {
				return reply{err: err}
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			return reply{res.StatusCode, res.Header, string(body), err}
		}()
	}()
	return done
}
