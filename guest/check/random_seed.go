package check

// randomSeed: clones that begin with one seed begin with the same random
// numbers, from which keys are made.
var randomSeed = &Check{
	ID: "clone-random-seed", Severity: Clone, Family: "linux",
	Rows: []string{"S0-20"},
	Run: func(s *Subject) error {
		for _, p := range []string{"/var/lib/systemd/random-seed", "/var/lib/urandom/random-seed", "/var/lib/random-seed", "/boot/efi/loader/random-seed", "/boot/loader/random-seed"} {
			if s.isFile(p) {
				s.Find(Evidence{Path: p})
				return nil
			}
		}
		return nil
	},
}
