package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"

	"kuva/api"
)

// pointer escapes names for JSON pointers (RFC 6901).
var pointer = strings.NewReplacer("~", "~0", "/", "~1")

// Share offers an image to another project, by its id.
func (c *Client) Share(ctx context.Context, id, project string) (api.ImageMember, error) {
	var m api.ImageMember
	_, err := c.image.Post(ctx, c.image.ServiceURL("images", url.PathEscape(id), "members"), map[string]string{"member": project}, &m,
		&gophercloud.RequestOpts{OkCodes: []int{http.StatusOK}})
	if err != nil {
		return m, fmt.Errorf("share image %s: %w", id, answered(err))
	}
	return m, nil
}

// Unshare takes an image back from a project.
func (c *Client) Unshare(ctx context.Context, id, project string) error {
	_, err := c.image.Delete(ctx, c.image.ServiceURL("images", url.PathEscape(id), "members", url.PathEscape(project)), nil)
	if err != nil {
		return fmt.Errorf("take image %s back from project %s: %w", id, project, answered(err))
	}
	return nil
}

// Members lists the projects that an image is shared with: for its owner all of
// them, for one of them itself.
func (c *Client) Members(ctx context.Context, id string) ([]api.ImageMember, error) {
	var list struct{ Members []api.ImageMember }
	_, err := c.image.Get(ctx, c.image.ServiceURL("images", url.PathEscape(id), "members"), &list, nil)
	if err != nil {
		return nil, fmt.Errorf("members of image %s: %w", id, answered(err))
	}
	return list.Members, nil
}

// Answer says what the caller's project makes of an image that it was offered:
// accepted, rejected or pending.
func (c *Client) Answer(ctx context.Context, id, project, status string) (api.ImageMember, error) {
	var m api.ImageMember
	_, err := c.image.Put(ctx, c.image.ServiceURL("images", url.PathEscape(id), "members", url.PathEscape(project)), map[string]string{"status": status}, &m,
		&gophercloud.RequestOpts{OkCodes: []int{http.StatusOK}})
	if err != nil {
		return m, fmt.Errorf("answer to image %s: %w", id, answered(err))
	}
	return m, nil
}

// Project is the id of the project that the caller acts in, "" where it acts in
// none.
func (c *Client) Project() (string, error) {
	r, ok := c.image.ProviderClient.GetAuthResult().(interface {
		ExtractProject() (*tokens.Project, error)
	})
	if !ok {
		return "", errors.New("the cloud did not say in which project the token is good")
	}
	p, err := r.ExtractProject()
	if err != nil || p == nil {
		return "", err
	}
	return p.ID, nil
}
