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

// MakeLink makes an address that is good for an image without a token. Its URL
// is told this once.
func (c *Client) MakeLink(ctx context.Context, l api.NewAccessLink) (api.AccessLink, error) {
	var out api.AccessLink
	_, err := c.image.Post(ctx, c.kuvaURL("links"), l, &out, &gophercloud.RequestOpts{OkCodes: []int{http.StatusCreated}})
	if err != nil {
		return out, fmt.Errorf("make a link to image %s: %w", l.Image, answered(err))
	}
	return out, nil
}

// Links lists links, newest first, without their addresses: those of an image,
// or all of the caller's project for "".
func (c *Client) Links(ctx context.Context, image string) ([]api.AccessLink, error) {
	var all []api.AccessLink
	for next := "links?limit=1000&image=" + url.QueryEscape(image); next != ""; {
		if image == "" {
			next = strings.TrimSuffix(next, "&image=")
		}
		var page api.AccessLinks
		if _, err := c.image.Get(ctx, c.kuvaURL(next), &page, nil); err != nil {
			return nil, fmt.Errorf("list links: %w", answered(err))
		}
		all = append(all, page.Links...)
		if next = ""; page.Next != nil {
			next = strings.TrimPrefix(*page.Next, "/kuva/v1/")
		}
	}
	return all, nil
}

// RevokeLink ends a link at once.
func (c *Client) RevokeLink(ctx context.Context, id string) error {
	if _, err := c.image.Delete(ctx, c.kuvaURL("links", url.PathEscape(id)), nil); err != nil {
		return fmt.Errorf("revoke link %s: %w", id, answered(err))
	}
	return nil
}
