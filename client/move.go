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

// kuvaURL is an address of kuva's own API, beside the Image API. Another
// image service has nothing there: its answer is ErrNotFound.
func (c *Client) kuvaURL(parts ...string) string {
	base, _, _ := strings.Cut(c.image.Endpoint, "/image")
	return strings.TrimSuffix(base, "/") + "/kuva/v1/" + strings.Join(parts, "/")
}

// Copy makes a new image of the caller's project with the content of one that
// it may read; name "" is the source's. The copy is active at once, or
// importing where its content is sealed anew.
func (c *Client) Copy(ctx context.Context, id, name string) (api.ImageDetails, error) {
	var out api.ImageDetails
	_, err := c.image.Post(ctx, c.kuvaURL("images", url.PathEscape(id), "copy"), api.CopyImage{Name: name}, &out, &gophercloud.RequestOpts{OkCodes: []int{http.StatusCreated, http.StatusAccepted}})
	if err != nil {
		return out, fmt.Errorf("copy image %s: %w", id, answered(err))
	}
	return out, nil
}

// OfferMove offers an image to another project, by the project's id.
func (c *Client) OfferMove(ctx context.Context, id, project string) (api.MoveOffer, error) {
	var out api.MoveOffer
	_, err := c.image.Post(ctx, c.kuvaURL("images", url.PathEscape(id), "move"), api.MoveImage{Project: project}, &out, &gophercloud.RequestOpts{OkCodes: []int{http.StatusCreated}})
	if err != nil {
		return out, fmt.Errorf("offer image %s: %w", id, answered(err))
	}
	return out, nil
}

// AcceptMove takes an image that was offered to the caller's project.
func (c *Client) AcceptMove(ctx context.Context, id string) (api.ImageDetails, error) {
	var out api.ImageDetails
	_, err := c.image.Post(ctx, c.kuvaURL("images", url.PathEscape(id), "move", "accept"), nil, &out, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK}})
	if err != nil {
		return out, fmt.Errorf("accept image %s: %w", id, answered(err))
	}
	return out, nil
}

// EndMove takes an offer back, or refuses one.
func (c *Client) EndMove(ctx context.Context, id string) error {
	_, err := c.image.Delete(ctx, c.kuvaURL("images", url.PathEscape(id), "move"), nil)
	if err != nil {
		return fmt.Errorf("end the offer of image %s: %w", id, answered(err))
	}
	return nil
}

// MoveOffers lists the offers by and to the caller's project, at most 1,000.
func (c *Client) MoveOffers(ctx context.Context) ([]api.MoveOffer, error) {
	var out api.MoveOffers
	if _, err := c.image.Get(ctx, c.kuvaURL("moves?limit=1000"), &out, nil); err != nil {
		return nil, fmt.Errorf("offers of images: %w", answered(err))
	}
	return out.Moves, nil
}
