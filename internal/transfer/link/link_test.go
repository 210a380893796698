package link

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestSecret: however a secret is shown, it is not; two are never the same; and
// whatever is sent instead of one has a digest, too.
func TestSecret(t *testing.T) {
	s := newSecret()
	plain := s.Reveal()
	if len(plain) != secretLen || !strings.HasPrefix(plain, Prefix) || newSecret() == s {
		t.Fatalf("%d characters", len(plain))
	}
	made := Made{Secret: s}
	b, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("made", "secret", s, "link", made)
	if all := fmt.Sprintf("%v %+v %#v %s %q", made, made, made, s, s) + string(b) + log.String(); strings.Contains(all, plain) || strings.Contains(all, plain[len(Prefix):]) {
		t.Errorf("shown: %s", all)
	}
	for _, sent := range []Secret{"", "x", s + "x", Secret(strings.Repeat("x", 10_000)), "\x00\xff"} {
		if d := sent.digest(); len(d) != len(s.digest()) || d == s.digest() {
			t.Errorf("digest %q", d)
		}
	}
}
