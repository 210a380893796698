package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"kuva/message"
)

// spoken is a sentence for the person at the terminal, in the language that the
// system speaks.
func spoken(key string, args ...any) string { return message.New(key, args...).In(language("")) }

// spokenError is an error in that language.
func spokenError(key string, args ...any) error { return errors.New(spoken(key, args...)) }

const (
	passwordVariable = "KUVA_USER_PASSWORD"
	maxPassword      = 1024
)

// newPassword gets a password without ever showing it: from standard input
// where stdin says so, else from the environment, else by asking twice on the
// terminal. Never from the command line, which everybody on the machine sees.
func newPassword(cmd *cobra.Command, stdin bool) (string, error) {
	if stdin {
		line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), maxPassword+2)).ReadString('\n')
		if err != nil && err != io.EOF {
			return "", err
		}
		return checkPassword(strings.TrimRight(line, "\r\n"))
	}
	if p := os.Getenv(passwordVariable); p != "" {
		return checkPassword(p)
	}
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !isTerminal(in) {
		return "", usage(spokenError("cli.no_password", "variable", passwordVariable))
	}
	first, err := ask(cmd, in, spoken("cli.password"))
	if err != nil {
		return "", err
	}
	second, err := ask(cmd, in, spoken("cli.password_again"))
	if err != nil {
		return "", err
	}
	if first != second {
		return "", usage(spokenError("cli.passwords_differ"))
	}
	return checkPassword(first)
}

func checkPassword(p string) (string, error) {
	if p == "" || len(p) > maxPassword {
		return "", usage(spokenError("cli.bad_password", "most", maxPassword))
	}
	return p, nil
}

// ask reads one line from a terminal that does not echo it.
func ask(cmd *cobra.Command, in *os.File, prompt string) (string, error) {
	restore, err := hideTyping(in)
	if err != nil {
		return "", err
	}
	defer restore()
	cmd.PrintErr(prompt + " ")
	// One byte at a time: what follows the line is not this program's.
	var line []byte
	for one := make([]byte, 1); len(line) <= maxPassword; {
		n, err := in.Read(one)
		if n == 1 && one[0] == '\n' {
			break
		}
		if n == 1 {
			line = append(line, one[0])
		}
		if err != nil {
			return "", err
		}
	}
	cmd.PrintErrln()
	return strings.TrimRight(string(line), "\r"), nil
}
