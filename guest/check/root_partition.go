package check

// rootPartition: some clouds put keys into the first partition. cloud-init
// does without, so this counts only where it is missing.
var rootPartition = &Check{
	ID: "advice-root-partition", Severity: Advice, Family: "linux",
	Rows: []string{"S4-31", "S4-32", "S4-33"},
	Run: func(s *Subject) error {
		if s.Facts.CloudInit != nil || len(s.Facts.Partitions) == 0 {
			return nil
		}
		first := s.Facts.Partitions[0]
		for _, f := range s.Facts.Filesystems {
			if f.Mount == "/" && f.Device == itoa(first.Number) {
				return nil
			}
		}
		s.Find(Evidence{Value: "partition " + itoa(first.Number) + ": " + first.Holds})
		return nil
	},
}
