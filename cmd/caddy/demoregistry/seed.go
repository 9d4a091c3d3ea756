package demoregistry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
)

// Seed pushes a tiny image, one text file, into the registry at base (such as
// "http://127.0.0.1:40123"), so that there is something to pull. Pushing it
// again changes nothing.
func Seed(ctx context.Context, base, repository, tag string) error {
	img, err := newImage("hello.txt", "Hello from "+repository+".\n")
	if err != nil {
		return err
	}
	for _, blob := range [][]byte{img.layer, img.config} {
		if err := pushBlob(ctx, base, repository, blob); err != nil {
			return fmt.Errorf("seeding %s: %w", repository, err)
		}
	}
	target := base + "/v2/" + repository + "/manifests/" + tag
	if _, err := send(ctx, http.MethodPut, target, mediaTypeManifest, img.manifest); err != nil {
		return fmt.Errorf("seeding %s: %w", repository, err)
	}
	return nil
}

// pushBlob uploads in the two steps POST and PUT, which every registry knows
// (distribution-spec, "Pushing a blob monolithically").
func pushBlob(ctx context.Context, base, repository string, blob []byte) error {
	resp, err := send(ctx, http.MethodPost, base+"/v2/"+repository+"/blobs/uploads/", "", nil)
	if err != nil {
		return err
	}
	target, err := resp.Location() // resolved against base where it is relative
	if err != nil {
		return fmt.Errorf("upload without a location: %w", err)
	}
	q := target.Query()
	q.Set("digest", digest(blob))
	target.RawQuery = q.Encode()
	_, err = send(ctx, http.MethodPut, target.String(), "application/octet-stream", blob)
	return err
}

// send returns the answer, with the body closed, if its status is 2xx.
func send(ctx context.Context, method, target, contentType string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		says, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
		return nil, fmt.Errorf("%s %s: %s %s", method, resp.Request.URL.Path, resp.Status, says)
	}
	return resp, nil
}
