//go:build !linux

package main

import "os"

// hideTyping refuses where kuva does not know how to keep a terminal from
// showing what is typed.
func hideTyping(*os.File) (restore func(), err error) {
	return nil, usage(refusal("cli.no_password", "variable", passwordVariable))
}
