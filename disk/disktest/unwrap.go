package disktest

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"kuva/internal/testkit"
)

// unwrap takes one wrapping away, by its name in the manifest.
func unwrap(t testing.TB, r io.Reader, outer string) (_ io.Reader, ok bool) {
	t.Helper()
	var err error
	switch outer {
	case "gz":
		r, err = gzip.NewReader(r)
	case "bz2":
		r = bzip2.NewReader(r)
	case "zst":
		var d *zstd.Decoder
		if d, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1)); err == nil {
			t.Cleanup(d.Close)
			r = d
		}
	case "xz":
		r, err = pipe(t, r, "xz")
	case "Z":
		r, err = pipe(t, r, "gzip") // which knows what compress made
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	case "uu":
		r, err = uudecode(r)
	default:
		return nil, false
	}
	if err != nil {
		t.Fatalf("%s: %v", outer, err)
	}
	return r, true
}

// pipe unpacks by a program while the result is read.
func pipe(t testing.TB, r io.Reader, program string) (io.Reader, error) {
	testkit.Need(t, program)
	cmd := exec.Command(testkit.Program(program), "-dc")
	cmd.Stdin = r
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &running{cmd, out}, cmd.Start()
}

type running struct {
	cmd *exec.Cmd
	out io.Reader
}

// Read gives the program's error in place of the end.
func (r *running) Read(p []byte) (int, error) {
	n, err := r.out.Read(p)
	if err == io.EOF {
		if e := r.cmd.Wait(); e != nil {
			err = e
		}
	}
	return n, err
}

// uudecode reads lines of at most 45 bytes, six bits a character.
func uudecode(r io.Reader) (io.Reader, error) {
	var out bytes.Buffer
	lines := bufio.NewScanner(r)
	begun := false
	for lines.Scan() {
		line := lines.Text()
		if !begun {
			begun = strings.HasPrefix(line, "begin ")
			continue
		}
		if line == "end" || line == "" {
			break
		}
		n, six := int(line[0]-' ')&63, line[1:]
		var b []byte
		for ; len(six) >= 4; six = six[4:] {
			var v uint32
			for _, c := range []byte(six[:4]) {
				v = v<<6 | uint32(c-' ')&63
			}
			b = append(b, byte(v>>16), byte(v>>8), byte(v))
		}
		if n > len(b) {
			return nil, fmt.Errorf("a line of %d bytes says it has %d", len(b), n)
		}
		out.Write(b[:n])
	}
	return &out, lines.Err()
}
