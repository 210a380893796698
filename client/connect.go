package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
)

// Settings say where to log in. The zero value takes all from the environment.
type Settings struct {
	// Cloud is an entry of clouds.yaml. "" takes OS_CLOUD, and without that
	// the OS_ variables alone.
	Cloud string
	// CACert is a PEM file of authorities to trust, before OS_CACERT.
	CACert string
	// Insecure leaves the service's certificate unchecked, as OS_INSECURE does.
	Insecure bool
	// UserAgent goes before gophercloud's own.
	UserAgent string
	// File is the clouds.yaml to read, alone: then the environment and its
	// proxies mean nothing, and Cloud is needed. This is for services: what they
	// hold is sent to the host of auth_url, or to Image, and nowhere else.
	File string
	// Image is the address of the image service, up to and without /v2, where
	// the catalogue of a File's cloud is not to be asked.
	Image string
}

// Client is a session with one image service.
type Client struct {
	image *gophercloud.ServiceClient
}

// New makes a client of a session of gophercloud's, as openstack.NewImageV2
// gives it.
func New(image *gophercloud.ServiceClient) *Client { return &Client{image: image} }

// Connect logs in and finds the image service in the catalogue. It reads the
// environment, and clouds.yaml and secure.yaml where the standard clients look
// for them: OS_CLIENT_CONFIG_FILE, else the working directory,
// ~/.config/openstack, /etc/openstack.
func Connect(ctx context.Context, s Settings) (*Client, error) {
	auth, where, trust, err := settings(s, os.Getenv)
	if err != nil {
		return nil, err
	}
	provider, err := openstack.NewClient(auth.IdentityEndpoint)
	if err != nil {
		return nil, fmt.Errorf("identity service %s: %w", auth.IdentityEndpoint, err)
	}
	if s.UserAgent != "" {
		provider.UserAgent.Prepend(s.UserAgent)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = trust
	transport.WriteBufferSize = 128 << 10 // content goes in few calls
	provider.HTTPClient = http.Client{Transport: transport}
	if s.File != "" {
		transport.Proxy = nil
		provider.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	if err := openstack.Authenticate(ctx, provider, auth); err != nil {
		return nil, fmt.Errorf("log in at %s: %w", auth.IdentityEndpoint, answered(err))
	}
	image, err := openstack.NewImageV2(provider, where)
	if err != nil {
		var none *gophercloud.ErrEndpointNotFound
		if errors.As(err, &none) {
			return nil, errors.New("the cloud's catalogue has no image service for this region and interface: look at OS_REGION_NAME and OS_INTERFACE")
		}
		return nil, fmt.Errorf("find the image service: %w", answered(err))
	}
	if s.File != "" {
		if err := s.bind(image, auth.IdentityEndpoint); err != nil {
			return nil, err
		}
	}
	return New(image), nil
}

// bind holds the image service to where the token may go.
func (s *Settings) bind(image *gophercloud.ServiceClient, identity string) error {
	if s.Image != "" {
		image.Endpoint = strings.TrimSuffix(s.Image, "/") + "/"
		image.ResourceBase = image.Endpoint + "v2/"
		return nil
	}
	from, err := url.Parse(identity)
	if err != nil {
		return err
	}
	to, err := url.Parse(image.Endpoint)
	if err != nil {
		return err
	}
	if to.Hostname() != from.Hostname() || from.Scheme == "https" && to.Scheme != "https" {
		return fmt.Errorf("the catalogue at %s names an image service at %s: if that is right, say so by its address", from.Host, to.Host)
	}
	return nil
}

// errNoCloud says what to set.
var errNoCloud = errors.New("no cloud is named: set OS_CLOUD (and OS_CLIENT_CONFIG_FILE, if clouds.yaml lies elsewhere), give --os-cloud, or set OS_AUTH_URL and the other OS_ variables")

// settings reads clouds.yaml, lets OS_ variables go before it, and without a
// cloud's name takes them alone.
func settings(s Settings, getenv func(string) string) (auth gophercloud.AuthOptions, where gophercloud.EndpointOpts, trust *tls.Config, err error) {
	if s.File != "" {
		b, err := os.ReadFile(s.File)
		if err != nil {
			return auth, where, nil, err
		}
		return parsed(s.Cloud, clouds.WithCloudName(s.Cloud), clouds.WithCloudsYAML(bytes.NewReader(b)), clouds.WithSecureYAML(bytes.NewReader([]byte("clouds: {}\n"))))
	}
	cloud := s.Cloud
	if cloud == "" {
		cloud = getenv("OS_CLOUD")
	}
	opts := fromEnvironment(getenv)
	switch {
	case cloud != "":
		opts = append(opts, clouds.WithCloudName(cloud))
	case getenv("OS_AUTH_URL") == "":
		return auth, where, nil, errNoCloud
	default:
		b, err := environmentCloud(getenv)
		if err != nil {
			return auth, where, nil, err
		}
		opts = append(opts, clouds.WithCloudName(environment), clouds.WithCloudsYAML(bytes.NewReader(b)), clouds.WithSecureYAML(bytes.NewReader([]byte("clouds: {}\n"))))
	}
	insecure, _ := strconv.ParseBool(getenv("OS_INSECURE"))
	if s.Insecure || insecure {
		opts = append(opts, clouds.WithInsecure(true))
	}
	if s.CACert != "" {
		opts = append(opts, clouds.WithCACertPath(s.CACert))
	}
	return parsed(cloud, opts...)
}

// parsed reads the settings of a cloud and fills in what is commonly left out.
func parsed(cloud string, opts ...clouds.ParseOption) (auth gophercloud.AuthOptions, where gophercloud.EndpointOpts, trust *tls.Config, err error) {
	auth, where, trust, err = clouds.Parse(opts...)
	if err != nil {
		return auth, where, nil, fmt.Errorf("settings of the cloud %q: %w", cloud, err)
	}
	if auth.IdentityEndpoint == "" {
		return auth, where, nil, fmt.Errorf("the cloud %q has no auth_url: add it to clouds.yaml, or set OS_AUTH_URL", cloud)
	}
	if auth.TokenID != "" {
		auth.Username, auth.UserID, auth.Password, auth.DomainID, auth.DomainName = "", "", "", "", ""
	}
	// A token of an hour must not end an upload of a day; without a password
	// there is nothing to get another one with.
	auth.AllowReauth = auth.TokenID == ""
	if auth.Username != "" && auth.DomainID == "" && auth.DomainName == "" {
		auth.DomainID = defaultDomain
	}
	if sc := auth.Scope; sc != nil && sc.ProjectName != "" && sc.DomainID == "" && sc.DomainName == "" {
		sc.DomainID = defaultDomain
	}
	return auth, where, trust, nil
}

// defaultDomain is where names are looked up that come without a domain.
const defaultDomain = "default"
