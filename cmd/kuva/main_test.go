package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMain lets the test's own binary be kuva, so that scripts start real
// processes, servers among them.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kuva": main})
}

// TestScripts are the journeys of users and operators.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       *update,
		Condition:           condition,
		Setup: func(e *testscript.Env) error {
			e.Setenv("OS_CLIENT_CONFIG_FILE", filepath.Join(e.WorkDir, "data", "clouds.yaml"))
			e.Setenv("OS_CLOUD", "kuva")
			e.Setenv("KUVA_ADMIN_PASSWORD", "correct horse")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"ready": ready, "random": random, "keep": keep, "exits": exits, "api": call, "flip": flip, "same": same,
			"sample": sample,
		},
	})
}

// ready DIR waits until the service of a data folder answers.
func ready(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: ready DIR")
	}
	for range 300 {
		if url, err := address(ts.MkAbs(args[0])); err == nil {
			resp, err := http.Get(url + "/readyz") //nolint:noctx // a test's
			if err == nil {
				_ = resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					return
				}
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("the service in %s does not get ready", args[0])
}

var authURL = regexp.MustCompile(`auth_url: (\S+)/identity/v3`)

func address(data string) (string, error) {
	b, err := os.ReadFile(filepath.Join(data, "clouds.yaml"))
	if err != nil {
		return "", err
	}
	m := authURL.FindSubmatch(b)
	if m == nil {
		return "", errors.New("clouds.yaml has no auth_url")
	}
	return string(m[1]), nil
}

// random FILE SIZE SEED writes bytes that nothing compresses.
func random(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	b := make([]byte, n)
	var seed [32]byte
	copy(seed[:], args[2])
	_, err = rand.NewChaCha8(seed).Read(b)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

// keep VAR sets a variable to what the last command printed.
func keep(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// exits N COMMAND… runs a command that must exit with N.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// api DIR METHOD PATH [BODY] calls the service of a data folder as its
// administrator; it must succeed.
func call(ts *testscript.TestScript, _ bool, args []string) {
	base, err := address(ts.MkAbs(args[0]))
	ts.Check(err)
	login := fmt.Sprintf(`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"admin","domain":{"id":"default"},"password":%q}}},
		"scope":{"project":{"name":"admin","domain":{"id":"default"}}}}}`, ts.Getenv("KUVA_ADMIN_PASSWORD"))
	resp, err := http.Post(base+"/identity/v3/auth/tokens", "application/json", strings.NewReader(login)) //nolint:noctx // a test's
	ts.Check(err)
	_ = resp.Body.Close()
	body := ""
	if len(args) > 3 {
		body = args[3]
	}
	req, err := http.NewRequest(args[1], base+args[2], strings.NewReader(body)) //nolint:noctx // a test's
	ts.Check(err)
	req.Header.Set("X-Auth-Token", resp.Header.Get("X-Subject-Token"))
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if args[1] == http.MethodPatch {
		req.Header.Set("Content-Type", "application/openstack-images-v2.1-json-patch")
	}
	resp, err = http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode/100 != 2 {
		ts.Fatalf("%s %s: %s %s", args[1], args[2], resp.Status, b)
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, b, "", " ") == nil {
		b = pretty.Bytes()
	}
	_, err = ts.Stdout().Write(b)
	ts.Check(err)
}

// flip GLOB flips one bit in the middle of the first file that matches.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	files, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("no file matches %s", args[0])
	}
	b, err := os.ReadFile(files[0])
	ts.Check(err)
	b[len(b)/2] ^= 0x10
	ts.Check(os.WriteFile(files[0], b, 0o600))
}

// same A B compares files; [!] wants them to differ.
func same(ts *testscript.TestScript, neg bool, args []string) {
	a, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	b, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	if bytes.Equal(a, b) == neg {
		ts.Fatalf("%s and %s: same is %t", args[0], args[1], !neg)
	}
}

// TestHelp compares the help of every command with what was looked at.
func TestHelp(t *testing.T) {
	t.Setenv("KUVA_CONFIG", "")
	seen := map[string]bool{}
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			return
		}
		path := cmd.CommandPath()
		var got bytes.Buffer
		root := newRoot()
		root.SetOut(&got)
		root.SetArgs(append(strings.Fields(path)[1:], "--help"))
		if err := root.Execute(); err != nil {
			t.Fatal(err)
		}
		name := strings.ReplaceAll(path, " ", "-") + ".txt"
		seen[name] = true
		golden := filepath.Join("testdata", "help", name)
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || !bytes.Equal(want, got.Bytes()) {
			t.Errorf("%s --help differs from %s (%v); look at it and run the test with -update\n%s", path, golden, err, got.Bytes())
		}
		for line := range strings.Lines(got.String()) {
			if len(line) > 130 {
				t.Errorf("%s --help has a line of %d characters: %s", path, len(line), line)
			}
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(newRoot())
	files, err := os.ReadDir(filepath.Join("testdata", "help"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[f.Name()] {
			t.Errorf("testdata/help/%s is of no command", f.Name())
		}
	}
}
