package check

import (
	"bytes"
	"path"
	"regexp"
	"strings"
)

// credentials: files in which programs keep passwords and tokens.
var credentials = &Check{
	ID: "secret-credentials", Severity: Secret,
	Rows: []string{"S0-21"},
	Run: func(s *Subject) error {
		var seen []Evidence
		err := s.personal(func(file string, size int64) error {
			if size == 0 || size > 1<<20 {
				return nil
			}
			re := credentialFile(file)
			if re == nil {
				return nil
			}
			b, err := s.Read(file)
			if err != nil {
				return err
			}
			if at := re.FindIndex(b); at != nil {
				line := 1 + bytes.Count(b[:at[0]], []byte("\n"))
				seen = append(seen, Evidence{Path: "/" + file, Line: line, Value: string(bytes.TrimSpace(re.FindSubmatch(b)[1])) + "…"})
			}
			return nil
		})
		if len(seen) > 0 {
			s.Find(seen...).With("file", seen[0].Path)
		}
		return err
	},
}

// credentialFiles are the ends of paths, and what in the file is the secret;
// the first group is shown.
var credentialFiles = []struct {
	suffix string
	re     *regexp.Regexp
}{
	{"/user-data.txt", regexp.MustCompile(`(?m)^[\s-]*(password|passwd|plain_text_passwd|hashed_passwd)\s*:`)},
	{"/.aws/credentials", regexp.MustCompile(`(?m)^\s*(aws_secret_access_key)\s*=`)},
	{"/.netrc", regexp.MustCompile(`\b(password)\s+\S`)},
	{"/.pgpass", regexp.MustCompile(`(?m)^([^#:\n]+):\S`)},
	{"/.my.cnf", regexp.MustCompile(`(?m)^\s*(password)\s*=`)},
	{"/.git-credentials", regexp.MustCompile(`(\w+://)[^/\s]*:`)},
	{"/.docker/config.json", regexp.MustCompile(`("auths?")\s*:\s*[{"][^}"\s]`)},
	{"/.dockercfg", regexp.MustCompile(`("auth")`)},
	{"/.kube/config", regexp.MustCompile(`(token|client-key-data|password):`)},
	{"/.config/gcloud/credentials.db", regexp.MustCompile(`(refresh_token)`)},
	{"/application_default_credentials.json", regexp.MustCompile(`("refresh_token"|"private_key")`)},
	{"/.azure/msal_token_cache.json", regexp.MustCompile(`("secret")`)},
	{"/.config/openstack/clouds.yaml", regexp.MustCompile(`(password|application_credential_secret):`)},
	{"/clouds.yaml", regexp.MustCompile(`(password|application_credential_secret):`)},
	{"/.vault-token", regexp.MustCompile(`^()\S`)},
	{"/.npmrc", regexp.MustCompile(`(_authToken|_password)\s*=`)},
	{"/.pypirc", regexp.MustCompile(`(?m)^\s*(password)\s*[:=]`)},
	{"/.config/rclone/rclone.conf", regexp.MustCompile(`(pass|secret_access_key|token)\s*=`)},
	{"/.s3cfg", regexp.MustCompile(`(secret_key)\s*=`)},
	{"/.smbcredentials", regexp.MustCompile(`(password)\s*=`)},
	{"/.env", regexp.MustCompile(`(?mi)^\s*(?:export\s+)?(\w*(?:PASSWORD|SECRET|TOKEN|API_KEY)\w*)\s*=\s*\S`)},
	{"openrc", regexp.MustCompile(`(OS_PASSWORD|OS_APPLICATION_CREDENTIAL_SECRET)=\S`)},
	{"openrc.sh", regexp.MustCompile(`(OS_PASSWORD|OS_APPLICATION_CREDENTIAL_SECRET)=["']?[^$"'\s]`)},
}

func credentialFile(file string) *regexp.Regexp {
	for _, c := range credentialFiles {
		if strings.HasSuffix("/"+file, c.suffix) && (c.suffix[0] == '/' || strings.HasSuffix(path.Base(file), c.suffix)) {
			return c.re
		}
	}
	return nil
}
