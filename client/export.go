package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gophercloud/gophercloud/v2"

	"kuva/api"
)

// StartExport has the service write an image, as a file of any format, to a
// bucket or to signed addresses. What becomes of it is seen with Export.
func (c *Client) StartExport(ctx context.Context, image string, x api.NewExport) (api.Export, error) {
	var out api.Export
	_, err := c.image.Post(ctx, c.kuvaURL("images", url.PathEscape(image), "exports"), x, &out, &gophercloud.RequestOpts{OkCodes: []int{http.StatusAccepted}})
	if err != nil {
		return out, fmt.Errorf("export image %s: %w", image, answered(err))
	}
	return out, nil
}

// Export shows one export.
func (c *Client) Export(ctx context.Context, id string) (api.Export, error) {
	var out api.Export
	if _, err := c.image.Get(ctx, c.kuvaURL("exports", url.PathEscape(id)), &out, nil); err != nil {
		return out, fmt.Errorf("export %s: %w", id, answered(err))
	}
	return out, nil
}

// Exports lists exports, newest first: those of an image, or all of the
// caller's project for "".
func (c *Client) Exports(ctx context.Context, image string) ([]api.Export, error) {
	next := "exports?limit=1000"
	if image != "" {
		next = "images/" + url.PathEscape(image) + "/" + next
	}
	var all []api.Export
	for next != "" {
		var page api.Exports
		if _, err := c.image.Get(ctx, c.kuvaURL(next), &page, nil); err != nil {
			return nil, fmt.Errorf("list exports: %w", answered(err))
		}
		all = append(all, page.Exports...)
		if next = ""; page.Next != nil {
			next = strings.TrimPrefix(*page.Next, "/kuva/v1/")
		}
	}
	return all, nil
}

// CancelExport asks for the end of an export; what was sent is given up.
func (c *Client) CancelExport(ctx context.Context, id string) error {
	_, err := c.image.Delete(ctx, c.kuvaURL("exports", url.PathEscape(id)), &gophercloud.RequestOpts{OkCodes: []int{http.StatusAccepted}})
	if err != nil {
		return fmt.Errorf("cancel export %s: %w", id, answered(err))
	}
	return nil
}

// Buckets lists the buckets that the operator configured for the caller's
// project.
func (c *Client) Buckets(ctx context.Context) ([]api.Bucket, error) {
	var out api.Buckets
	if _, err := c.image.Get(ctx, c.kuvaURL("buckets"), &out, nil); err != nil {
		return nil, fmt.Errorf("list buckets: %w", answered(err))
	}
	return out.Buckets, nil
}

// Objects lists at most 1,000 objects of a configured bucket whose names begin
// with prefix and come after marker; more tells whether there are others.
func (c *Client) Objects(ctx context.Context, bucket, prefix, marker string) (list []api.ListedObject, more bool, err error) {
	q := url.Values{"limit": {"1000"}}
	for name, value := range map[string]string{"prefix": prefix, "marker": marker} {
		if value != "" {
			q.Set(name, value)
		}
	}
	var out api.ListedObjects
	if _, err := c.image.Get(ctx, c.kuvaURL("buckets", url.PathEscape(bucket), "objects?"+q.Encode()), &out, nil); err != nil {
		return nil, false, fmt.Errorf("list objects of %s: %w", bucket, answered(err))
	}
	return out.Objects, out.Next != nil, nil
}
