package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/gophercloud/gophercloud/v2"

	"kuva/api"
)

// Change is one change of an image's attributes or properties.
type Change struct {
	// Name is the attribute as the Image API writes it (name, visibility,
	// os_hidden, tags, …), or the name of a property.
	Name string
	// Value is what it becomes; nil takes a property away.
	Value any
}

// Update changes an image and returns it as it is then. All changes are made or
// none.
func (c *Client) Update(ctx context.Context, id string, changes []Change) (api.Image, error) {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value,omitempty"`
	}
	var img api.Image
	body := []operation{}
	for _, ch := range changes {
		op := operation{Op: "add", Path: "/" + pointer.Replace(ch.Name), Value: ch.Value}
		if ch.Value == nil {
			op.Op = "remove"
		}
		body = append(body, op)
	}
	_, err := c.image.Patch(ctx, c.image.ServiceURL("images", url.PathEscape(id)), body, &img, &gophercloud.RequestOpts{
		OkCodes: []int{http.StatusOK}, MoreHeaders: map[string]string{"Content-Type": "application/openstack-images-v2.1-json-patch"},
	})
	if err != nil {
		return img, fmt.Errorf("change image %s: %w", id, answered(err))
	}
	return img, nil
}
