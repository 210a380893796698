package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/gophercloud/gophercloud/v2"

	"kuva/api"
)

// Peers lists the regions that the caller's project may send images to.
func (c *Client) Peers(ctx context.Context) ([]api.Peer, error) {
	var out api.Peers
	if _, err := c.image.Get(ctx, c.kuvaURL("peers"), &out, nil); err != nil {
		return nil, fmt.Errorf("list regions: %w", answered(err))
	}
	return out.Peers, nil
}

// Replicate begins to send an image to another region, and returns the job.
func (c *Client) Replicate(ctx context.Context, id, peer string) (api.Job, error) {
	var j api.Job
	_, err := c.image.Post(ctx, c.kuvaURL("images", url.PathEscape(id), "replicate"), api.Replicate{Peer: peer}, &j,
		&gophercloud.RequestOpts{OkCodes: []int{http.StatusAccepted}})
	if err != nil {
		return j, fmt.Errorf("send image %s to %s: %w", id, peer, answered(err))
	}
	return j, nil
}

// Job reads a job of the caller's project.
func (c *Client) Job(ctx context.Context, id string) (api.Job, error) {
	var j api.Job
	if _, err := c.image.Get(ctx, c.kuvaURL("jobs", url.PathEscape(id)), &j, nil); err != nil {
		return j, fmt.Errorf("job %s: %w", id, answered(err))
	}
	return j, nil
}
