package tus

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kuva/internal/catalog/catalogtest"
	"kuva/internal/testkit"
	"kuva/internal/transfer/upload"
)

// nodeModules installs what testdata/tusjs names, once a machine, and returns
// the folder.
func nodeModules(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	lock, err := os.ReadFile("testdata/tusjs/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(lock)
	dir := filepath.Join(root, ".cache", "tusjs-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(dir); err == nil {
		return filepath.Join(dir, "node_modules")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "tusjs-new")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(fresh)
	for _, name := range []string{"package.json", "package-lock.json"} {
		copyFile(t, filepath.Join("testdata/tusjs", name), filepath.Join(fresh, name))
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "scripts/node"), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Env = append(os.Environ(), "NODE_DIR="+fresh)
	if out, err := cmd.CombinedOutput(); err != nil {
		testkit.NotRun(t, "tus-js-client cannot be installed: "+string(out))
	}
	if err := os.Rename(fresh, dir); err != nil && !errors.Is(err, os.ErrExist) && !exists(dir) {
		t.Fatal(err)
	}
	return filepath.Join(dir, "node_modules")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestClient: tus-js-client itself uploads whole, in pieces, in parallel parts
// and with a length that it says last, and goes on where it was killed.
func TestClient(t *testing.T) {
	modules := nodeModules(t)
	w := start(t, catalogtest.SQLite(t), change{door: func(c *Config) { c.Stall = 10 * time.Second }})
	dir := t.TempDir()
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	copyFile(t, "testdata/tusjs/upload.mjs", filepath.Join(dir, "upload.mjs"))
	data := random(9*mib+4321, 9)
	file := filepath.Join(dir, "my disk.raw")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("../../../scripts/node")
	if err != nil {
		t.Fatal(err)
	}
	type options map[string]any
	type result struct {
		URL         string
		First, Last int64
	}
	run := func(o options) (result, int) {
		t.Helper()
		o["metadata"] = map[string]string{"filename": "my disk.raw", "filetype": "application/octet-stream", "disk_format": "raw", "content": "exact"}
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), script, "upload.mjs", w.url+"/files", "alice", file, string(text))
		cmd.Env = append(os.Environ(), "NODE_DIR="+dir)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		err = cmd.Run()
		var r result
		if err == nil {
			if err := json.Unmarshal(out.Bytes(), &r); err != nil {
				t.Fatalf("%v: %s", err, out.Bytes())
			}
		} else if cmd.ProcessState.ExitCode() != 7 {
			t.Fatalf("%v: %v: %s", o, err, errs.Bytes())
		}
		return r, cmd.ProcessState.ExitCode()
	}
	same := func(r result) {
		t.Helper()
		if img := w.done(r.URL); !bytes.Equal(w.content(img.ID), data) || img.Name != "my disk.raw" {
			t.Errorf("other content: %+v", img)
		}
	}
	for _, o := range []options{
		{},
		{"chunkSize": 2*mib + 1},
		{"uploadDataDuringCreation": true, "chunkSize": 3 * mib},
		{"parallelUploads": 3},
		{"parallelUploads": 3, "chunkSize": mib},
		{"deferred": true, "chunkSize": 4 * mib},
		{"overridePatchMethod": true, "chunkSize": 5 * mib},
	} {
		r, _ := run(o)
		same(r)
	}
	for i, o := range []options{{"chunkSize": mib}, {"chunkSize": mib, "parallelUploads": 3}} {
		o["store"] = filepath.Join(dir, "store"+strings.Repeat("x", i))
		o["dieAt"] = 5 * mib
		if _, code := run(o); code != 7 {
			t.Fatalf("exit code %d", code)
		}
		delete(o, "dieAt")
		all, err := w.uploads.List(t.Context(), people["root"], upload.Query{})
		if err != nil {
			t.Fatal(err)
		}
		r, _ := run(o)
		same(r)
		after, err := w.uploads.List(t.Context(), people["root"], upload.Query{})
		if more := len(after) - len(all); err != nil || more != i { // the one that parts are joined to
			t.Errorf("%v: %d more uploads, %v", o, more, err)
		}
		if i == 0 && r.First < 3*mib {
			t.Errorf("it began again at %d", r.First)
		}
	}
}
