package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Client speaks to a registry directly, to fill it and to read back what
// others pushed.
type Client struct {
	// URL is the registry's base address, without a trailing slash.
	URL string
	// Authorization is sent with every request unless it is empty.
	Authorization string
}

// do sends a request and returns the answer with its whole body.
func (c *Client) do(ctx context.Context, method, target, contentType string, body []byte) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.Authorization != "" {
		req.Header.Set("Authorization", c.Authorization)
	}
	req.Header.Add("Accept", ManifestType)
	req.Header.Add("Accept", "application/vnd.oci.image.manifest.v1+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res, answer, err
}

func (c *Client) expect(ctx context.Context, want int, method, target, contentType string, body []byte) (*http.Response, []byte, error) {
	res, answer, err := c.do(ctx, method, target, contentType, body)
	if err != nil {
		return nil, nil, err
	}
	if res.StatusCode != want {
		return nil, nil, fmt.Errorf("%s %s: %s, want %d: %.200s", method, target, res.Status, want, answer)
	}
	return res, answer, nil
}

// Push stores an image under repository and reference (a tag or a digest).
func (c *Client) Push(ctx context.Context, repository, reference string, image *Image) error {
	for _, blob := range append([][]byte{image.Config}, image.Layers...) {
		if err := c.PushBlob(ctx, repository, blob); err != nil {
			return err
		}
	}
	_, _, err := c.expect(ctx, http.StatusCreated, http.MethodPut,
		c.URL+"/v2/"+repository+"/manifests/"+reference, ManifestType, image.Manifest)
	return err
}

// PushBlob stores a blob in a repository in one upload.
func (c *Client) PushBlob(ctx context.Context, repository string, blob []byte) error {
	location, err := c.OpenUpload(ctx, repository)
	if err != nil {
		return err
	}
	q := location.Query()
	q.Set("digest", Digest(blob))
	location.RawQuery = q.Encode()
	_, _, err = c.expect(ctx, http.StatusCreated, http.MethodPut, location.String(), "application/octet-stream", blob)
	return err
}

// OpenUpload starts an upload and returns where it goes on.
func (c *Client) OpenUpload(ctx context.Context, repository string) (*url.URL, error) {
	res, _, err := c.expect(ctx, http.StatusAccepted, http.MethodPost, c.URL+"/v2/"+repository+"/blobs/uploads/", "", nil)
	if err != nil {
		return nil, err
	}
	return res.Location()
}

// Manifest returns a manifest exactly as stored.
func (c *Client) Manifest(ctx context.Context, repository, reference string) ([]byte, error) {
	_, body, err := c.expect(ctx, http.StatusOK, http.MethodGet, c.URL+"/v2/"+repository+"/manifests/"+reference, "", nil)
	return body, err
}

// Pull reads an image back and checks every blob against its digest.
func (c *Client) Pull(ctx context.Context, repository, reference string) (*Image, error) {
	manifest, err := c.Manifest(ctx, repository, reference)
	if err != nil {
		return nil, err
	}
	type blob struct{ Digest string }
	var m struct {
		Config blob
		Layers []blob
	}
	if err := json.Unmarshal(manifest, &m); err != nil {
		return nil, fmt.Errorf("manifest of %s:%s: %w", repository, reference, err)
	}
	image := &Image{Manifest: manifest}
	if image.Config, err = c.Blob(ctx, repository, m.Config.Digest); err != nil {
		return nil, err
	}
	for _, l := range m.Layers {
		layer, err := c.Blob(ctx, repository, l.Digest)
		if err != nil {
			return nil, err
		}
		image.Layers = append(image.Layers, layer)
	}
	return image, nil
}

// Blob reads a blob and checks it against its digest.
func (c *Client) Blob(ctx context.Context, repository, digest string) ([]byte, error) {
	_, body, err := c.expect(ctx, http.StatusOK, http.MethodGet, c.URL+"/v2/"+repository+"/blobs/"+digest, "", nil)
	if err != nil {
		return nil, err
	}
	if got := Digest(body); got != digest {
		return nil, fmt.Errorf("blob %s of %s has digest %s", digest, repository, got)
	}
	return body, nil
}

// Tags returns the tags of a repository; none if there is no such repository.
func (c *Client) Tags(ctx context.Context, repository string) ([]string, error) {
	res, body, err := c.do(ctx, http.MethodGet, c.URL+"/v2/"+repository+"/tags/list", "", nil)
	if err != nil {
		return nil, err
	}
	switch res.StatusCode {
	case http.StatusNotFound:
		return nil, nil
	case http.StatusOK:
	default:
		return nil, fmt.Errorf("tags of %s: %s: %.200s", repository, res.Status, strings.TrimSpace(string(body)))
	}
	var list struct{ Tags []string }
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("tags of %s: %w", repository, err)
	}
	return list.Tags, nil
}
