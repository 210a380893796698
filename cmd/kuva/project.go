package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"kuva/client"
)

func newProject() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "project",
		Short: "Create and tend projects",
		Long: `Work with the projects (tenants) of a kuva, or of any OpenStack cloud with its own
Keystone. Only administrators may; "kuva image --help" says how the cloud is found.`,
		Example: `  kuva project create --description "Research group Blue" blue
  kuva user create --project blue --role member alice
  kuva quota set blue --bytes 500G`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newProjectCreate(), newProjectList(), newProjectShow(), newProjectSet(), newProjectDelete())
	return cmd
}

// identity connects, and finds the domain that --domain names.
type identityFlags struct {
	cloud  cloud
	domain string
	json   bool
}

func (f *identityFlags) add(cmd *cobra.Command, output bool) {
	f.cloud.flags(cmd.Flags())
	cmd.Flags().StringVar(&f.domain, "domain", "", "in the domain with this `NAME` or id (default: Default to create in, all to look in)")
	if output {
		cmd.Flags().BoolVar(&f.json, "json", false, "print JSON, as the Identity API writes it")
	}
}

func (f *identityFlags) connect(ctx context.Context) (ids *client.Identity, domain string, err error) {
	c, err := f.cloud.connect(ctx)
	if err != nil {
		return nil, "", err
	}
	if ids, err = c.Identity(); err != nil || f.domain == "" {
		return ids, "", err
	}
	d, err := client.FindThing[client.Domain](ctx, ids, f.domain, "")
	return ids, d.ID, judged(err)
}

// changed collects the members of the flags that were given.
func changed(cmd *cobra.Command, members map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range members {
		flag, member, renamed := strings.Cut(name, ":")
		if !renamed {
			member = strings.ReplaceAll(flag, "-", "_")
		}
		if cmd.Flags().Changed(flag) {
			out[member] = value
		}
	}
	return out
}

// enabling reads the flags --enable and --disable into members.
func enabling(cmd *cobra.Command, enable, disable bool, members map[string]any) {
	if cmd.Flags().Changed("enable") || cmd.Flags().Changed("disable") {
		members["enabled"] = enable && !disable
	}
}

// facts prints one fact a line, those without a value left out.
func facts(w io.Writer, pairs ...string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", pairs[i], clean(pairs[i+1]))
		}
	}
	return t.Flush()
}

// table prints rows below a head.
func table(w io.Writer, head []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(head, "\t"))
	for _, row := range rows {
		for i := range row {
			row[i] = clean(row[i])
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// yesNo is for columns.
func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func printProject(cmd *cobra.Command, p client.Project, asJSON bool) error {
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), p)
	}
	return facts(cmd.OutOrStdout(), "id", p.ID, "name", p.Name, "domain", p.DomainID, "description", p.Description,
		"enabled", strconv.FormatBool(p.Enabled), "tags", strings.Join(p.Tags, ", "))
}

func newProjectCreate() *cobra.Command {
	var f identityFlags
	var description string
	var disable bool
	var tags []string
	cmd := &cobra.Command{
		Use:     "create NAME",
		Short:   "Create a project",
		Example: `  kuva project create --description "Research group Blue" --tag research blue`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, domain, err := f.connect(cmd.Context())
			if err != nil {
				return err
			}
			members := map[string]any{"name": args[0], "description": description, "enabled": !disable}
			if domain != "" {
				members["domain_id"] = domain
			}
			if len(tags) > 0 {
				members["tags"] = tags
			}
			p, err := client.CreateThing[client.Project](cmd.Context(), ids, members)
			if err != nil {
				return judged(err)
			}
			return printProject(cmd, p, f.json)
		},
	}
	f.add(cmd, true)
	cmd.Flags().StringVar(&description, "description", "", "what it is for: `TEXT`")
	cmd.Flags().BoolVar(&disable, "disable", false, "let nobody use it yet")
	cmd.Flags().StringArrayVar(&tags, "tag", nil, "a `TAG`; may be given several times")
	return cmd
}

func newProjectList() *cobra.Command {
	var f identityFlags
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List projects",
		Example: `  kuva project list --json | jq -r '.[].name'`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ids, domain, err := f.connect(cmd.Context())
			if err != nil {
				return err
			}
			found, err := client.ListThings[client.Project](cmd.Context(), ids, inDomain(domain))
			if err != nil {
				return judged(err)
			}
			if f.json {
				return writeJSON(cmd.OutOrStdout(), append([]client.Project{}, found...))
			}
			var rows [][]string
			for _, p := range found {
				rows = append(rows, []string{p.ID, p.Name, p.DomainID, yesNo(p.Enabled), p.Description})
			}
			return table(cmd.OutOrStdout(), []string{"ID", "NAME", "DOMAIN", "ENABLED", "DESCRIPTION"}, rows)
		},
	}
	f.add(cmd, true)
	return cmd
}

func inDomain(domain string) url.Values {
	if domain == "" {
		return url.Values{}
	}
	return url.Values{"domain_id": {domain}}
}

func newProjectShow() *cobra.Command {
	var f identityFlags
	cmd := &cobra.Command{
		Use:     "show NAME|ID",
		Short:   "Show a project",
		Example: `  kuva project show blue`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, domain, err := f.connect(cmd.Context())
			if err != nil {
				return err
			}
			p, err := client.FindThing[client.Project](cmd.Context(), ids, args[0], domain)
			if err != nil {
				return judged(err)
			}
			return printProject(cmd, p, f.json)
		},
	}
	f.add(cmd, true)
	return cmd
}

func newProjectSet() *cobra.Command {
	var f identityFlags
	var name, description string
	var enable, disable bool
	var tags []string
	cmd := &cobra.Command{
		Use:   "set NAME|ID",
		Short: "Change a project",
		Long:  `Change a project. Disabling it makes the tokens for it invalid at once.`,
		Example: `  kuva project set --description "Ends in June" blue
  kuva project set --disable blue`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			members := changed(cmd, map[string]any{"name": name, "description": description, "tag:tags": tags})
			enabling(cmd, enable, disable, members)
			if len(members) == 0 {
				return usage(spokenError("cli.nothing_to_set"))
			}
			ids, domain, err := f.connect(cmd.Context())
			if err != nil {
				return err
			}
			p, err := client.FindThing[client.Project](cmd.Context(), ids, args[0], domain)
			if err == nil {
				p, err = client.UpdateThing[client.Project](cmd.Context(), ids, p.ID, members)
			}
			if err != nil {
				return judged(err)
			}
			return printProject(cmd, p, f.json)
		},
	}
	f.add(cmd, true)
	cmd.Flags().StringVar(&name, "name", "", "call it `NAME`")
	cmd.Flags().StringVar(&description, "description", "", "what it is for: `TEXT`")
	cmd.Flags().BoolVar(&enable, "enable", false, "let people use it")
	cmd.Flags().BoolVar(&disable, "disable", false, "let nobody use it")
	cmd.Flags().StringArrayVar(&tags, "tag", nil, "these `TAG`s instead of its present ones")
	cmd.MarkFlagsMutuallyExclusive("enable", "disable")
	return cmd
}

func newProjectDelete() *cobra.Command {
	var f identityFlags
	cmd := &cobra.Command{
		Use:   "delete NAME|ID…",
		Short: "Delete projects",
		Long: `Delete projects with the roles given in them. Images that a project owns stay, and
only administrators see them then: delete or move them first.`,
		Example: `  kuva project delete blue`,
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, domain, err := f.connect(cmd.Context())
			if err != nil {
				return err
			}
			return eachNamed(cmd, args, func(name string) (string, error) {
				p, err := client.FindThing[client.Project](cmd.Context(), ids, name, domain)
				if err != nil {
					return "", err
				}
				return p.ID + " " + p.Name, client.DeleteThing[client.Project](cmd.Context(), ids, p.ID)
			})
		},
	}
	f.add(cmd, false)
	return cmd
}

// eachNamed deletes one thing after the other; the last failure is returned,
// those before are printed.
func eachNamed(cmd *cobra.Command, names []string, remove func(name string) (what string, err error)) error {
	var failed error
	for _, name := range names {
		what, err := remove(name)
		if err == nil {
			fmt.Fprintln(cmd.OutOrStdout(), spoken("cli.deleted", "what", clean(what)))
			continue
		}
		if failed != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "kuva:", failed)
		}
		failed = judged(err)
	}
	return failed
}
