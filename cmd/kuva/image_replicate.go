package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"kuva/api"
	"kuva/client"
)

func newImageReplicate() *cobra.Command {
	var cloud cloud
	var to string
	var noWait, quiet, asJSON bool
	cmd := &cobra.Command{
		Use:   "replicate ID|NAME",
		Short: "Send an image to another region",
		Long: `Send an image to another region, which the service does by itself: what the other
side has already does not travel. The copy has the same id, name, properties and
tags. Without --to the regions are listed that your project can send to.

The command waits for the end. You may stop it: the job goes on, and the same
command finds it again.`,
		Example: `  kuva image replicate web-1 --to west
  kuva image replicate web-1 --to west --no-wait`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if to != "" && len(args) == 0 {
				return usagef("say which image is to be sent to %s", to)
			}
			c, err := cloud.connect(ctx)
			if err != nil {
				return err
			}
			if to == "" {
				return listPeers(cmd, c, asJSON)
			}
			img, err := c.Find(ctx, args[0])
			if err != nil {
				return judged(err)
			}
			j, err := c.Replicate(ctx, img.ID, to)
			if err != nil {
				return judged(err)
			}
			if !noWait {
				if j, err = waitJob(ctx, cmd, c, j, "send", quiet); err != nil {
					return err
				}
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), j)
			}
			if !quiet {
				fmt.Fprintf(cmd.OutOrStdout(), "%s %s %s\n", img.ID, to, j.State)
			}
			return nil
		},
	}
	f := cmd.Flags()
	cloud.flags(f)
	f.StringVar(&to, "to", "", "`REGION` to send it to")
	f.BoolVar(&noWait, "no-wait", false, "do not wait for the end")
	f.BoolVar(&asJSON, "json", false, "print the job, or the regions, as JSON")
	f.BoolVarP(&quiet, "quiet", "q", false, "print nothing but errors")
	return cmd
}

func listPeers(cmd *cobra.Command, c *client.Client, asJSON bool) error {
	peers, err := c.Peers(cmd.Context())
	if err != nil {
		return judged(err)
	}
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), peers)
	}
	if len(peers) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "This site has no other regions for your project.")
	}
	for _, p := range peers {
		fmt.Fprintln(cmd.OutOrStdout(), clean(p.Name))
	}
	return nil
}

// jobEvery is the time between two looks at a job.
const jobEvery = 500 * time.Millisecond

// waitJob shows how far a job is until it has ended. A job that did not succeed
// is an error with its reason.
func waitJob(ctx context.Context, cmd *cobra.Command, c *client.Client, j api.Job, verb string, quiet bool) (api.Job, error) {
	p := newProgress(cmd, quiet, verb, -1)
	defer p.end()
	for {
		total := int64(-1)
		if j.Progress.Total != nil {
			total = *j.Progress.Total
		}
		p.at(j.Progress.Done, total)
		switch j.State {
		case "succeeded":
			return j, nil
		case "failed", "cancelled":
			if j.Failure != nil {
				return j, fmt.Errorf("%s: %s", j.State, clean(j.Failure.Sentence))
			}
			return j, fmt.Errorf("job %s was %s", j.ID, j.State)
		}
		select {
		case <-ctx.Done():
			return j, fmt.Errorf("no longer waiting: job %s goes on by itself", j.ID)
		case <-time.After(jobEvery):
		}
		next, err := c.Job(ctx, j.ID)
		if err != nil {
			return j, judged(err)
		}
		j = next
	}
}
