package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"regexp"
	"strconv"

	"github.com/gophercloud/gophercloud/v2"

	"kuva/api"
)

// NewImage is what an image is created with. Empty fields are left to the
// service.
type NewImage struct {
	ID              string // a UUID of the caller's choice
	Name            string
	DiskFormat      string
	ContainerFormat string
	Visibility      string
	Protected       bool
	Hidden          bool
	MinDisk         int64 // GiB
	MinRAM          int64 // MiB
	Tags            []string
	Properties      map[string]string
	// Owner is the project that it is to belong to, by its id, for
	// administrators; "" is the caller's.
	Owner string
}

// Create makes an image without content.
func (c *Client) Create(ctx context.Context, n NewImage) (api.Image, error) {
	body := map[string]any{}
	for name, value := range n.Properties {
		body[name] = value
	}
	for name, value := range map[string]string{
		"id": n.ID, "name": n.Name, "disk_format": n.DiskFormat, "container_format": n.ContainerFormat, "visibility": n.Visibility, "owner": n.Owner,
	} {
		if value != "" {
			body[name] = value
		}
	}
	for name, value := range map[string]int64{"min_disk": n.MinDisk, "min_ram": n.MinRAM} {
		if value != 0 {
			body[name] = value
		}
	}
	if n.Protected {
		body["protected"] = true
	}
	if n.Hidden {
		body["os_hidden"] = true
	}
	if len(n.Tags) > 0 {
		body["tags"] = n.Tags
	}
	var img api.Image
	_, err := c.image.Post(ctx, c.image.ServiceURL("images"), body, &img, &gophercloud.RequestOpts{OkCodes: []int{http.StatusCreated}})
	if err != nil {
		return img, fmt.Errorf("create image: %w", answered(err))
	}
	return img, nil
}

// Show reads one image by its id. ErrNotFound where there is none that the
// caller may see.
func (c *Client) Show(ctx context.Context, id string) (api.Image, error) {
	var img api.Image
	_, err := c.image.Get(ctx, c.image.ServiceURL("images", url.PathEscape(id)), &img, nil)
	if err != nil {
		return img, fmt.Errorf("image %s: %w", id, answered(err))
	}
	return img, nil
}

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$`)

// Find reads the image with an id, or else the only one with a name.
// ErrNotFound, or an AmbiguousError where several have it.
func (c *Client) Find(ctx context.Context, nameOrID string) (api.Image, error) {
	if nameOrID == "" {
		return api.Image{}, fmt.Errorf("an empty name: %w", ErrNotFound)
	}
	if uuid.MatchString(nameOrID) {
		img, err := c.Show(ctx, nameOrID)
		if err == nil || !errors.Is(err, ErrNotFound) {
			return img, err
		}
	}
	const most = 10
	var named []api.Image
	for img, err := range c.List(ctx, Query{Name: nameOrID}) {
		if err != nil {
			return api.Image{}, err
		}
		if img.Name == nameOrID { // services differ in what a filter takes for equal
			named = append(named, img)
		}
		if len(named) == most {
			break
		}
	}
	switch len(named) {
	case 0:
		return api.Image{}, fmt.Errorf("%w with the name or id %q", ErrNotFound, nameOrID)
	case 1:
		return named[0], nil
	}
	return api.Image{}, &AmbiguousError{nameOrID, named}
}

// Query chooses and orders images. The zero value is all that the caller may
// see, newest first.
type Query struct {
	Name, Status, Visibility, Owner string
	DiskFormat, ContainerFormat     string
	MemberStatus                    string // accepted (the default), pending, rejected, all
	Tags                            []string
	Properties                      map[string]string
	Hidden                          bool   // the hidden ones instead of the others
	Sort                            string // as "name:asc,created_at:desc"
	Limit                           int    // images in all, 0 is no limit
}

func (q Query) values() url.Values {
	v := url.Values{}
	for name, value := range q.Properties {
		v.Set(name, value)
	}
	for name, value := range map[string]string{
		"name": q.Name, "status": q.Status, "visibility": q.Visibility, "owner": q.Owner, "disk_format": q.DiskFormat,
		"container_format": q.ContainerFormat, "member_status": q.MemberStatus, "sort": q.Sort,
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for _, tag := range q.Tags {
		v.Add("tag", tag)
	}
	if q.Hidden {
		v.Set("os_hidden", "true")
	}
	if q.Limit > 0 && q.Limit < 1000 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// List yields the images that a query chooses, page by page. After an error it
// yields no more.
func (c *Client) List(ctx context.Context, q Query) iter.Seq2[api.Image, error] {
	return func(yield func(api.Image, error) bool) {
		values, sent := q.values(), 0
		for {
			var page api.ImageList
			if _, err := c.image.Get(ctx, c.image.ServiceURL("images")+"?"+values.Encode(), &page, nil); err != nil {
				yield(api.Image{}, fmt.Errorf("list images: %w", answered(err)))
				return
			}
			for _, img := range page.Images {
				if q.Limit > 0 && sent == q.Limit {
					return
				}
				if sent++; !yield(img, nil) {
					return
				}
			}
			if page.Next == "" || len(page.Images) == 0 {
				return
			}
			// The link is relative to a path that a proxy may have changed;
			// only where to go on is taken from it.
			next, err := url.Parse(page.Next)
			if err != nil || next.Query().Get("marker") == "" || next.Query().Get("marker") == values.Get("marker") {
				yield(api.Image{}, errors.New("list images: the service's link to the next page leads nowhere"))
				return
			}
			values.Set("marker", next.Query().Get("marker"))
		}
	}
}

// Delete deletes an image and its content.
func (c *Client) Delete(ctx context.Context, id string) error {
	if _, err := c.image.Delete(ctx, c.image.ServiceURL("images", url.PathEscape(id)), nil); err != nil {
		return fmt.Errorf("delete image %s: %w", id, answered(err))
	}
	return nil
}
