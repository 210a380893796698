package client

import (
	"encoding/json"

	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
)

// environment is the name of the cloud that the OS_ variables describe.
const environment = "envvars"

// fromEnvironment lets OS_ variables go before clouds.yaml, as the standard
// client does. Empty ones change nothing.
func fromEnvironment(getenv func(string) string) []clouds.ParseOption {
	var opts []clouds.ParseOption
	for _, v := range []struct {
		name string
		with func(string) clouds.ParseOption
	}{
		{"OS_AUTH_URL", clouds.WithIdentityEndpoint},
		{"OS_USERNAME", clouds.WithUsername},
		{"OS_USER_ID", clouds.WithUserID},
		{"OS_PASSWORD", clouds.WithPassword},
		{"OS_TOKEN", clouds.WithToken},
		{"OS_PROJECT_ID", clouds.WithProjectID},
		{"OS_PROJECT_NAME", clouds.WithProjectName},
		{"OS_APPLICATION_CREDENTIAL_ID", clouds.WithApplicationCredentialID},
		{"OS_APPLICATION_CREDENTIAL_NAME", clouds.WithApplicationCredentialName},
		{"OS_APPLICATION_CREDENTIAL_SECRET", clouds.WithApplicationCredentialSecret},
	} {
		if s := getenv(v.name); s != "" {
			opts = append(opts, v.with(s))
		}
	}
	return opts
}

// environmentCloud writes the OS_ variables as a clouds.yaml (JSON is YAML),
// so that one reader gives both their meaning.
func environmentCloud(getenv func(string) string) ([]byte, error) {
	auth := map[string]string{}
	for name, keys := range map[string][]string{
		"auth_url":                      {"OS_AUTH_URL"},
		"username":                      {"OS_USERNAME"},
		"user_id":                       {"OS_USER_ID", "OS_USERID"},
		"password":                      {"OS_PASSWORD"},
		"token":                         {"OS_TOKEN", "OS_AUTH_TOKEN"},
		"project_id":                    {"OS_PROJECT_ID", "OS_TENANT_ID"},
		"project_name":                  {"OS_PROJECT_NAME", "OS_TENANT_NAME"},
		"user_domain_id":                {"OS_USER_DOMAIN_ID"},
		"user_domain_name":              {"OS_USER_DOMAIN_NAME"},
		"project_domain_id":             {"OS_PROJECT_DOMAIN_ID"},
		"project_domain_name":           {"OS_PROJECT_DOMAIN_NAME"},
		"domain_id":                     {"OS_DOMAIN_ID"},
		"domain_name":                   {"OS_DOMAIN_NAME"},
		"application_credential_id":     {"OS_APPLICATION_CREDENTIAL_ID"},
		"application_credential_name":   {"OS_APPLICATION_CREDENTIAL_NAME"},
		"application_credential_secret": {"OS_APPLICATION_CREDENTIAL_SECRET"},
	} {
		for _, key := range keys {
			if v := getenv(key); v != "" && auth[name] == "" {
				auth[name] = v
			}
		}
	}
	return json.Marshal(map[string]any{"clouds": map[string]any{environment: map[string]any{"auth": auth}}})
}
