package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// contentURL is where the bytes of an image are.
func (c *Client) contentURL(id string) string {
	return c.image.ServiceURL("images", url.PathEscape(id), "file")
}

// send makes one request whose body streams. A token that ran out is replaced
// once, if the body was not touched: a refusal comes before the first byte,
// because the caller waits for "100 Continue".
func (c *Client) send(ctx context.Context, untouched func() bool, make func() (*http.Request, error)) (*http.Response, error) {
	for again := false; ; again = true {
		req, err := make()
		if err != nil {
			return nil, err
		}
		for name, value := range c.image.AuthenticatedHeaders() {
			req.Header.Set(name, value)
		}
		req.Header.Set("User-Agent", c.image.UserAgent.Join())
		req.Header.Set("Accept", "application/json, */*")
		resp, err := c.image.HTTPClient.Do(req)
		if err != nil {
			var u *url.Error
			if errors.As(err, &u) { // its address says nothing new
				err = u.Err
			}
			return nil, err
		}
		if resp.StatusCode != http.StatusUnauthorized || again || c.image.ReauthFunc == nil || !untouched() {
			return resp, nil
		}
		_ = resp.Body.Close()
		if err := c.image.Reauthenticate(ctx, req.Header.Get("X-Auth-Token")); err != nil {
			return nil, answered(err)
		}
	}
}
