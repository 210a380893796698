// Command kuva is the image service and its command line.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes, after those of sysexits where one fits.
const (
	exitOK       = 0
	exitFailed   = 1 // the service or the machine said no
	exitUsage    = 2 // the command line cannot be understood
	exitDamaged  = 3 // stored bytes failed their check
	exitNotFound = 4
)

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var e *exitError
	if !errors.As(err, &e) {
		e = &exitError{code: exitFailed, err: err}
	}
	if e.err != nil {
		fmt.Fprintln(os.Stderr, "kuva:", e.err)
	}
	return e.code
}

// exitError carries an exit code. A nil err means that all was said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage marks an error as a mistake on the command line.
func usage(err error) error { return &exitError{code: exitUsage, err: err} }

func usagef(format string, a ...any) error { return usage(fmt.Errorf(format, a...)) }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "kuva",
		Short: "The image service of a cloud",
		Long: `kuva keeps virtual machine images: it takes them in, keeps every byte once,
compressed, encrypted and safe through power loss, and hands them out.

"kuva serve" is the service. "kuva image" talks to it, or to any OpenStack cloud,
with the settings of clouds.yaml and the OS_ variables. "kuva depot", "backup" and
"restore" tend its data folder. "kuva convert", "info", "check", "compare" and "map"
work on disks in local files, of every usual format, and need no service.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          args(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w\nSee: %s --help", err, cmd.CommandPath()))
	})
	root.AddCommand(newProject(), newUser(), newRole(), newQuota())
	root.AddCommand(newServe(), newImage(), newDepot(), newBackup(), newRestore(), newVersion(),
		newConvert(), newInfo(), newCheck(), newCompare(), newMap(),
		newInspect(), newLs(), newCat(), newDiff())
	return root
}
