package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/gophercloud/gophercloud/v2"

	"kuva/api"
)

// Catalogue lists the images that the site's operator lists, to be had
// elsewhere, by name.
func (c *Client) Catalogue(ctx context.Context) ([]api.CatalogueEntry, error) {
	var out api.Catalogue
	if _, err := c.image.Get(ctx, c.kuvaURL("catalogue"), &out, nil); err != nil {
		return nil, fmt.Errorf("catalogue: %w", answered(err))
	}
	return out.Images, nil
}

// ImportEntry makes an image of an entry of the catalogue, and returns the job
// that fetches its content. The job names the image.
func (c *Client) ImportEntry(ctx context.Context, name string, e api.ImportEntry) (api.Job, error) {
	return c.startImport(ctx, "entry "+name, c.kuvaURL("catalogue", url.PathEscape(name), "import"), e)
}

// Import begins to fill a queued image from elsewhere, and returns the job that
// does it.
func (c *Client) Import(ctx context.Context, id string, from api.ImportImage) (api.Job, error) {
	return c.startImport(ctx, "into image "+id, c.kuvaURL("images", url.PathEscape(id), "import"), from)
}

func (c *Client) startImport(ctx context.Context, what, at string, body any) (api.Job, error) {
	var j api.Job
	_, err := c.image.Post(ctx, at, body, &j, &gophercloud.RequestOpts{OkCodes: []int{http.StatusAccepted}})
	if err != nil {
		return j, fmt.Errorf("import %s: %w", what, answered(err))
	}
	return j, nil
}
