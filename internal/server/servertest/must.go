package servertest

import (
	"bytes"
	"net/http"
	"testing"
	"time"
)

// MustCreate is Create for calls that must succeed. It returns the id.
func (c *Client) MustCreate(t testing.TB, f Fields) string {
	t.Helper()
	img, err := c.Create(f)
	if err != nil {
		t.Fatal(err)
	}
	return img.ID
}

// MustUpload is Upload for calls that must succeed.
func (c *Client) MustUpload(t testing.TB, id string, content []byte) {
	t.Helper()
	if err := c.Upload(id, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
}

// MustDownload fails the test where the image's bytes are not these.
func (c *Client) MustDownload(t testing.TB, id string, want []byte) {
	t.Helper()
	if err := c.Download(id, bytes.NewReader(want)); err != nil {
		t.Fatalf("image %s: %v", id, err)
	}
}

// MustShow is Show for calls that must succeed.
func (c *Client) MustShow(t testing.TB, id string) Image {
	t.Helper()
	img, err := c.Show(id)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// MustMember makes a project with a user who has the role member in it, and
// logs the user in. c is an administrator.
func (c *Client) MustMember(t testing.TB, project string) *Client {
	t.Helper()
	u := User{Name: project + "-user", Password: "p-" + project + "-secret", Project: project}
	var p, who struct {
		Project struct{ ID string } `json:"project"`
		User    struct{ ID string } `json:"user"`
	}
	var roles struct {
		Roles []struct{ ID string } `json:"roles"`
	}
	for _, step := range []func() error{
		func() error {
			return c.want(http.StatusCreated, http.MethodPost, "/identity/v3/projects", nil, Fields{"project": Fields{"name": project}}, &p)
		},
		func() error {
			return c.want(http.StatusCreated, http.MethodPost, "/identity/v3/users", nil, Fields{"user": Fields{"name": u.Name, "password": u.Password}}, &who)
		},
		func() error {
			return c.want(http.StatusOK, http.MethodGet, "/identity/v3/roles?name=member", nil, nil, &roles)
		},
		func() error {
			return c.want(http.StatusNoContent, http.MethodPut, "/identity/v3/projects/"+p.Project.ID+"/users/"+who.User.ID+"/roles/"+roles.Roles[0].ID, nil, nil, nil)
		},
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	m, err := TryLogin(c.URL, u)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Eventually waits until a condition holds, half a minute at most.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain waited for: %s", what)
		}
	}
}
