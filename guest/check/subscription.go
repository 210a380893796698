package check

// subscription: the identity under which a system is registered with its
// vendor. Clones share it, and push each other out.
var subscription = &Check{
	ID: "clone-subscription", Severity: Clone, Family: "linux",
	Rows: []string{"S0-20", "S3-27"},
	Run: func(s *Subject) error {
		for _, c := range []struct{ path, guide string }{
			{"/etc/pki/consumer/cert.pem", "rhel"},
			{"/etc/sysconfig/rhn/systemid", "rhel"},
			{"/etc/zypp/credentials.d/SCCcredentials", "suse"},
			{"/var/lib/ubuntu-advantage/private/machine-token.json", ""},
		} {
			if s.isFile(c.path) {
				s.Find(Evidence{Path: c.path}).As(c.guide)
			}
		}
		return nil
	},
}
