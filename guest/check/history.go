package check

import (
	"path"
	"regexp"
)

// history: what people typed, which often holds passwords.
var history = &Check{
	ID: "secret-history", Severity: Secret,
	Rows: []string{"S0-21", "S2-22"},
	Run: func(s *Subject) error {
		var seen []Evidence
		telling := false
		err := s.personal(func(file string, size int64) error {
			if !historyFile[path.Base(file)] || size == 0 {
				return nil
			}
			b, err := s.Read(file)
			if err != nil {
				return err
			}
			found := false
			for _, l := range Lines(b) {
				if m := typedSecret.FindString(l.Text); m != "" {
					seen = append(seen, Evidence{Path: "/" + file, Line: l.Number, Value: m + "…"})
					found, telling = true, true
				}
			}
			if !found {
				seen = append(seen, Evidence{Path: "/" + file})
			}
			return nil
		})
		if len(seen) > 0 {
			f := s.Find(seen...)
			if !telling {
				f.Severity = Advice
			}
			f.With("file", seen[0].Path)
		}
		return err
	},
}

var historyFile = map[string]bool{
	".bash_history": true, ".zsh_history": true, ".sh_history": true, ".ash_history": true, ".history": true, ".mysql_history": true,
	".psql_history": true, ".python_history": true, ".rediscli_history": true, ".lesshst": true, ".viminfo": true,
	"fish_history": true, "ConsoleHost_history.txt": true, ".node_repl_history": true, ".sqlite_history": true,
}

// typedSecret matches up to where the secret begins, so that what is shown
// does not give it away.
var typedSecret = regexp.MustCompile(`(?i)(password|passphrase|secret|token|api_?key|credential|aws_secret_access_key|bearer)\w*["']?\s*[=: ]\s*["']?|passwd["']?\s*[=:]|mysql\s.*-p|sshpass\s+-p\s*|curl\s.*(-u|--user)\s+[^ :]+:|://[^/ :@]+:|IDENTIFIED BY\s+['"]`)
