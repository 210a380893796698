package depot

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// naiveCode are mistakes of the protocol's table made in the code: in a copy of
// the file the text is replaced, and the named test must fail by it. A commit
// without the fence is not among them: the recipe's state and the packs' stop it
// too, so that one mistake alone loses nothing.
var naiveCode = []struct{ name, file, text, with, test string }{
	{
		"lease without looking at the state", "ledger.go",
		`WHERE id = $1 AND state = 'sealed' AND NOT suspect`, `WHERE id = $1`,
		`TestRaces$/^lease_a_condemned_pack$`,
	},
	{
		"roots deleted in one step", "sweep.go",
		`condemned_epoch < $1`, `condemned_epoch <= $1`,
		`TestRaces$/^swapped,_then_restored$`,
	},
	{
		"no card comparison", "cardcheck.go",
		`rolledBack(why string) error {`, "rolledBack(why string) error {\n\tif why != \"\" {\n\t\treturn nil\n\t}",
		`TestRollbackWithinOneCycle$`,
	},
	{
		"reader keeps its generation", "read.go",
		`if gen <= after {`, `if after > 0 || gen <= after {`,
		`TestRaces$/^reader_over_a_swap$`,
	},
}

// TestNaiveCode makes each mistake in a copy of the code, by the go command's
// overlay, and wants its test to fail.
func TestNaiveCode(t *testing.T) {
	if os.Getenv("KUVA_SOAK") == "" {
		t.Skip("each mistake is a build of its own; make soak makes them. The model's naive variants run always")
	}
	for _, m := range naiveCode {
		t.Run(m.name, func(t *testing.T) {
			source, err := os.ReadFile(m.file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Count(string(source), m.text) != 1 {
				t.Fatalf("%s does not hold %q once", m.file, m.text)
			}
			folder := t.TempDir()
			changed := filepath.Join(folder, m.file)
			path, err := filepath.Abs(m.file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(changed, []byte(strings.Replace(string(source), m.text, m.with, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
			if err != nil {
				t.Fatal(err)
			}
			list := filepath.Join(folder, "overlay.json")
			if err := os.WriteFile(list, overlay, 0o600); err != nil {
				t.Fatal(err)
			}
			program := filepath.Join(folder, "naive.test")
			if out, err := exec.Command("go", "test", "-c", "-overlay", list, "-o", program, ".").CombinedOutput(); err != nil {
				t.Fatalf("build: %v\n%s", err, out)
			}
			cmd := exec.Command(program, "-test.short", "-test.timeout", "3m", "-test.run", m.test, "-rapid.nofailfile")
			cmd.Env = append(os.Environ(), "KUVA_SOAK=")
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Errorf("%s passes with the mistake:\n%s", m.test, out)
			} else if !strings.Contains(string(out), "--- FAIL") {
				t.Errorf("%s does not fail, it ends: %v\n%s", m.test, err, out)
			}
		})
	}
}
