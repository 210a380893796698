package servertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"kuva/api"
)

// User is somebody who logs in, in the domain Default.
type User struct{ Name, Password, Project string }

// Admin is the first administrator.
var Admin = User{Name: "admin", Password: AdminPassword, Project: "admin"}

// Client speaks to one server as one user. It keeps nothing but its token, so
// that tests see each answer as it came. It may be used from many goroutines.
type Client struct {
	URL     string
	Token   string
	Project string // id
	HTTP    *http.Client
}

// Fields is the body of a JSON request.
type Fields map[string]any

// Answer is one whole answer.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// OK tells whether the status is 2xx.
func (a Answer) OK() bool { return a.Status/100 == 2 }

func (a Answer) String() string {
	return fmt.Sprintf("%d %s", a.Status, bytes.TrimSpace(a.Body[:min(len(a.Body), 500)]))
}

// StatusError is an answer that is not what a method of Client wants.
type StatusError struct {
	What   string
	Answer Answer
}

func (e *StatusError) Error() string { return e.What + ": " + e.Answer.String() }

// StatusOf returns the status of an answer that was refused, 0 for an error
// that is no answer, as a broken connection.
func StatusOf(err error) int {
	if e := (*StatusError)(nil); errors.As(err, &e) {
		return e.Answer.Status
	}
	return 0
}

// Login logs a user in with a client of its own.
func (p *Process) Login(t testing.TB, u User) *Client {
	t.Helper()
	c, err := TryLogin(p.URL, u)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TryLogin asks the server at url for a token.
func TryLogin(url string, u User) (*Client, error) {
	c := &Client{URL: url, HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: 2 * time.Minute}}
	byName := func(name string) Fields { return Fields{"name": name, "domain": Fields{"id": "default"}} }
	who := byName(u.Name)
	who["password"] = u.Password
	a, err := c.Do(http.MethodPost, "/identity/v3/auth/tokens", nil, Fields{"auth": Fields{
		"identity": Fields{"methods": []string{"password"}, "password": Fields{"user": who}},
		"scope":    Fields{"project": byName(u.Project)},
	}})
	if err != nil {
		return nil, err
	}
	var body struct {
		Token struct {
			Project struct {
				ID string `json:"id"`
			} `json:"project"`
		} `json:"token"`
	}
	if a.Status != http.StatusCreated {
		return nil, &StatusError{"log in", a}
	}
	if err := json.Unmarshal(a.Body, &body); err != nil {
		return nil, err
	}
	c.Token, c.Project = a.Header.Get("X-Subject-Token"), body.Token.Project.ID
	return c, nil
}

// At is the same client at another address, as after a restart.
func (c *Client) At(url string) *Client {
	next := *c
	next.URL = url
	return &next
}

// Do sends a request with the token and reads the whole answer. body is sent
// as it is where it is an io.Reader, else as JSON; nil sends none.
func (c *Client) Do(method, path string, header http.Header, body any) (Answer, error) {
	res, err := c.Send(method, path, header, body)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	return Answer{res.StatusCode, res.Header, b}, err
}

// Send is Do for answers that are streamed; the caller closes the body.
func (c *Client) Send(method, path string, header http.Header, body any) (*http.Response, error) {
	var r io.Reader
	kind := ""
	switch b := body.(type) {
	case nil:
	case io.Reader:
		r = b
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		r, kind = bytes.NewReader(text), "application/json"
	}
	req, err := http.NewRequest(method, c.URL+path, r)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if c.Token != "" {
		req.Header.Set("X-Auth-Token", c.Token)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	return c.HTTP.Do(req)
}

// JSON sends a body as JSON, wants one status, and decodes the answer into out
// unless that is nil.
func (c *Client) JSON(status int, method, path string, body, out any) error {
	return c.want(status, method, path, http.Header{"Content-Type": {"application/json"}}, body, out)
}

// want is Do for one status, which decodes the body into out unless that is
// nil.
func (c *Client) want(status int, method, path string, header http.Header, body, out any) error {
	a, err := c.Do(method, path, header, body)
	if err != nil {
		return err
	}
	if a.Status != status {
		return &StatusError{method + " " + path, a}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(a.Body, out)
}

// Image is what tests look at.
type Image struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Owner       string   `json:"owner"`
	Status      string   `json:"status"`
	Visibility  string   `json:"visibility"`
	Size        *int64   `json:"size"`
	Checksum    *string  `json:"checksum"`
	Tags        []string `json:"tags"`
	LastFailure string   `json:"kuva_last_failure"`
	UpdatedAt   string   `json:"updated_at"`
}

// Create makes an image, raw and bare unless the fields say something else.
func (c *Client) Create(f Fields) (Image, error) {
	body := Fields{"disk_format": "raw", "container_format": "bare"}
	for name, value := range f {
		body[name] = value
	}
	var out Image
	err := c.want(http.StatusCreated, http.MethodPost, "/v2/images", nil, body, &out)
	return out, err
}

var octets = http.Header{"Content-Type": {"application/octet-stream"}}

// Upload fills an image. The length is announced where http.NewRequest finds
// it: for byte and string readers.
func (c *Client) Upload(id string, content io.Reader) error {
	return c.want(http.StatusNoContent, http.MethodPut, "/v2/images/"+id+"/file", octets, content, nil)
}

// Download compares an image's bytes with what they should be.
func (c *Client) Download(id string, want io.Reader) error {
	res, err := c.Send(http.MethodGet, "/v2/images/"+id+"/file", nil, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		return &StatusError{"download", Answer{res.StatusCode, res.Header, b}}
	}
	return SameBytes(res.Body, want)
}

// Patch sets fields of an image.
func (c *Client) Patch(id string, f Fields) error {
	var ops []Fields
	for name, value := range f {
		ops = append(ops, Fields{"op": "replace", "path": "/" + name, "value": value})
	}
	text, err := json.Marshal(ops)
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/openstack-images-v2.1-json-patch"}}
	return c.want(http.StatusOK, http.MethodPatch, "/v2/images/"+id, header, bytes.NewReader(text), nil)
}

// Delete deletes an image.
func (c *Client) Delete(id string) error {
	return c.want(http.StatusNoContent, http.MethodDelete, "/v2/images/"+id, nil, nil, nil)
}

// Show returns one image.
func (c *Client) Show(id string) (Image, error) {
	var out Image
	err := c.want(http.StatusOK, http.MethodGet, "/v2/images/"+id, nil, nil, &out)
	return out, err
}

// List returns all images that a plain list shows, over all pages.
func (c *Client) List() ([]Image, error) {
	var all []Image
	for path := "/v2/images?limit=1000"; path != ""; {
		var page struct {
			Images []Image `json:"images"`
			Next   string  `json:"next"`
		}
		if err := c.want(http.StatusOK, http.MethodGet, path, nil, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Images...)
		path = page.Next
	}
	return all, nil
}

// Quota returns what the client's project may keep, and keeps.
func (c *Client) Quota() (api.Quota, error) {
	var q api.Quota
	return q, c.want(http.StatusOK, http.MethodGet, "/kuva/v1/quota", nil, nil, &q)
}

// Details returns what kuva's own API says of an image.
func (c *Client) Details(id string) (api.ImageDetails, error) {
	var d api.ImageDetails
	return d, c.want(http.StatusOK, http.MethodGet, "/kuva/v1/images/"+id, nil, nil, &d)
}

// Depot returns what the store holds, for administrators.
func (c *Client) Depot() (api.Depot, error) {
	var d api.Depot
	return d, c.want(http.StatusOK, http.MethodGet, "/kuva/v1/depot", nil, nil, &d)
}

// Jobs returns the newest jobs of a kind.
func (c *Client) Jobs(kind string) ([]api.Job, error) {
	var page api.Jobs
	return page.Jobs, c.want(http.StatusOK, http.MethodGet, "/kuva/v1/jobs?limit=100&kind="+kind, nil, nil, &page)
}

// WaitJob waits until a job has ended.
func (c *Client) WaitJob(id string, within time.Duration) (api.Job, error) {
	for end := time.Now().Add(within); ; {
		var j api.Job
		if err := c.want(http.StatusOK, http.MethodGet, "/kuva/v1/jobs/"+id, nil, nil, &j); err != nil {
			return j, err
		}
		switch j.State {
		case "succeeded":
			return j, nil
		case "failed", "cancelled":
			return j, fmt.Errorf("job %s of kind %s: %s, %+v", id, j.Kind, j.State, j.Failure)
		}
		if time.Now().After(end) {
			return j, fmt.Errorf("job %s of kind %s is %s after %v", id, j.Kind, j.State, within)
		}
		time.Sleep(25 * time.Millisecond)
	}
}

// Collect runs one cycle of the collector to its end.
func (c *Client) Collect(how api.Collect) error {
	var j api.Job
	if err := c.want(http.StatusAccepted, http.MethodPost, "/kuva/v1/depot/collect", nil, how, &j); err != nil {
		return err
	}
	_, err := c.WaitJob(j.ID, time.Minute)
	return err
}
