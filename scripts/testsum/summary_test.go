package main

import (
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	events := `
{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestGood"}
{"Action":"output","Package":"m/a","Test":"TestGood","Output":"chatter\n"}
{"Action":"pass","Package":"m/a","Test":"TestGood"}
{"Action":"run","Package":"m/a","Test":"TestParent"}
{"Action":"run","Package":"m/a","Test":"TestParent/one"}
{"Action":"pass","Package":"m/a","Test":"TestParent/one"}
{"Action":"run","Package":"m/a","Test":"TestParent/two"}
{"Action":"output","Package":"m/a","Test":"TestParent/two","Output":"    a_test.go:1: wrong\n"}
{"Action":"fail","Package":"m/a","Test":"TestParent/two"}
{"Action":"fail","Package":"m/a","Test":"TestParent"}
{"Action":"run","Package":"m/a","Test":"TestTool"}
{"Action":"output","Package":"m/a","Test":"TestTool","Output":"    a_test.go:9: not run: qemu-img not installed\n"}
{"Action":"output","Package":"m/a","Test":"TestTool","Output":"--- SKIP: TestTool (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestTool"}
{"Action":"output","Package":"m/a","Output":"FAIL\tm/a\t0.1s\n"}
{"Action":"fail","Package":"m/a"}
{"Action":"run","Package":"m/b","Test":"TestHangs"}
{"Action":"output","Package":"m/b","Test":"TestHangs","Output":"half-way\n"}
{"Action":"output","Package":"m/b","Output":"exit status 2\n"}
{"Action":"fail","Package":"m/b"}
{"ImportPath":"m/c","Action":"build-output","Output":"c.go:1: syntax error\n"}
not json
`
	var out strings.Builder
	s := newSummary(&out)
	if err := s.read(strings.NewReader(strings.TrimSpace(events))); err != nil {
		t.Fatal(err)
	}
	s.close()
	want := `    a_test.go:1: wrong
FAIL	m/a	0.1s
half-way
exit status 2
c.go:1: syntax error
not jsonnot run: m/a TestTool: qemu-img not installed
FAIL	m/a
FAIL	m/b
2 passed, 2 failed, 1 skipped
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
