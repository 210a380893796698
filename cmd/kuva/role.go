package main

import (
	"context"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"kuva/client"
)

func newRole() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "role",
		Short: "Give roles, take them back, see who has which",
		Long: `Roles say what a user may do in a project: a reader looks, a member also changes what
the project owns, an admin does everything everywhere. Each of them implies the next.
The role service lets another service look at its users' tokens.`,
		Example: `  kuva role add --user alice --project blue member
  kuva role list --project blue`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRoleAdd(), newRoleRemove(), newRoleList(), newRoleCreate(), newRoleDelete())
	return cmd
}

// grantFlags name whom and where.
type grantFlags struct {
	identityFlags
	user, group, project, onDomain string
}

func (f *grantFlags) add(cmd *cobra.Command, output bool) {
	f.identityFlags.add(cmd, output)
	cmd.Flags().StringVar(&f.user, "user", "", "the user with this `NAME` or id")
	cmd.Flags().StringVar(&f.group, "group", "", "the group with this `NAME` or id")
	cmd.Flags().StringVar(&f.project, "project", "", "in the project with this `NAME` or id")
	cmd.Flags().StringVar(&f.onDomain, "on-domain", "", "on the domain with this `NAME` or id")
	cmd.MarkFlagsMutuallyExclusive("user", "group")
	cmd.MarkFlagsMutuallyExclusive("project", "on-domain")
}

// find turns names into ids.
func (f *grantFlags) find(ctx context.Context, role string) (ids *client.Identity, g client.Grant, err error) {
	ids, domain, err := f.connect(ctx)
	if err != nil {
		return nil, g, err
	}
	if err := resolve[client.Role](ctx, ids, role, "", &g.Role, func(x client.Role) string { return x.ID }); err != nil {
		return nil, g, err
	}
	if err := resolve[client.User](ctx, ids, f.user, domain, &g.User, func(x client.User) string { return x.ID }); err != nil {
		return nil, g, err
	}
	if err := resolve[client.Group](ctx, ids, f.group, domain, &g.Group, func(x client.Group) string { return x.ID }); err != nil {
		return nil, g, err
	}
	if err := resolve[client.Project](ctx, ids, f.project, domain, &g.Project, func(x client.Project) string { return x.ID }); err != nil {
		return nil, g, err
	}
	return ids, g, resolve[client.Domain](ctx, ids, f.onDomain, "", &g.Domain, func(x client.Domain) string { return x.ID })
}

func resolve[T client.Project | client.User | client.Role | client.Group | client.Domain](ctx context.Context, ids *client.Identity, name, domain string, to *string, id func(T) string) error {
	if name == "" {
		return nil
	}
	x, err := client.FindThing[T](ctx, ids, name, domain)
	if err == nil {
		*to = id(x)
	}
	return judged(err)
}

func (f *grantFlags) whole() error {
	if (f.user == "") == (f.group == "") || (f.project == "") == (f.onDomain == "") {
		return usage(spokenError("cli.whole_grant"))
	}
	return nil
}

func newRoleAdd() *cobra.Command {
	return roleChange("add", "Give a role", "cli.role_given", (*client.Identity).Give)
}

func newRoleRemove() *cobra.Command {
	return roleChange("remove", "Take a role back; tokens lose it at once", "cli.role_taken", (*client.Identity).Take)
}

func roleChange(verb, short, sentence string, change func(*client.Identity, context.Context, client.Grant) error) *cobra.Command {
	var f grantFlags
	cmd := &cobra.Command{
		Use:   verb + " ROLE",
		Short: short,
		Example: fmt.Sprintf(`  kuva role %[1]s --user alice --project blue member
  kuva role %[1]s --group staff --project blue reader`, verb),
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.whole(); err != nil {
				return err
			}
			ids, g, err := f.find(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := change(ids, cmd.Context(), g); err != nil {
				return judged(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), spoken(sentence, "role", args[0], "who", clean(f.user+f.group), "where", clean(f.project+f.onDomain)))
			return nil
		},
	}
	f.add(cmd, false)
	return cmd
}

func newRoleList() *cobra.Command {
	var f grantFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List roles, or who has them",
		Long: `List the roles that there are. With --user, --group, --project or --on-domain, list who
was given which role where.`,
		Example: `  kuva role list
  kuva role list --user alice`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ids, g, err := f.find(cmd.Context(), "")
			if err != nil {
				return err
			}
			if g == (client.Grant{}) {
				found, err := client.ListThings[client.Role](cmd.Context(), ids, url.Values{})
				if err != nil {
					return judged(err)
				}
				return printRoles(cmd, found, f.json)
			}
			found, err := ids.Assignments(cmd.Context(), g)
			if err != nil {
				return judged(err)
			}
			return printAssignments(cmd, found, f.json)
		},
	}
	f.add(cmd, true)
	return cmd
}

func printRoles(cmd *cobra.Command, roles []client.Role, asJSON bool) error {
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), append([]client.Role{}, roles...))
	}
	var rows [][]string
	for _, r := range roles {
		rows = append(rows, []string{r.ID, r.Name, r.Description})
	}
	return table(cmd.OutOrStdout(), []string{"ID", "NAME", "DESCRIPTION"}, rows)
}

func printAssignments(cmd *cobra.Command, found []client.Assignment, asJSON bool) error {
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), append([]client.Assignment{}, found...))
	}
	var rows [][]string
	for _, x := range found {
		row := []string{x.Role.Name, "", "", "system"}
		if x.User != nil {
			row[1] = x.User.Name
		}
		if x.Group != nil {
			row[2] = x.Group.Name
		}
		switch {
		case x.Scope.Project != nil:
			row[3] = x.Scope.Project.Name
		case x.Scope.Domain != nil:
			row[3] = "domain " + x.Scope.Domain.Name
		}
		rows = append(rows, row)
	}
	return table(cmd.OutOrStdout(), []string{"ROLE", "USER", "GROUP", "WHERE"}, rows)
}

func newRoleCreate() *cobra.Command {
	var f identityFlags
	var description string
	cmd := &cobra.Command{
		Use:     "create NAME",
		Short:   "Create a role, for the policy file or for other services",
		Example: `  kuva role create service`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, _, err := f.connect(cmd.Context())
			if err != nil {
				return err
			}
			r, err := client.CreateThing[client.Role](cmd.Context(), ids, map[string]any{"name": args[0], "description": description})
			if err != nil {
				return judged(err)
			}
			if f.json {
				return writeJSON(cmd.OutOrStdout(), r)
			}
			return facts(cmd.OutOrStdout(), "id", r.ID, "name", r.Name, "description", r.Description)
		},
	}
	f.add(cmd, true)
	cmd.Flags().StringVar(&description, "description", "", "what it allows: `TEXT`")
	return cmd
}

func newRoleDelete() *cobra.Command {
	var f identityFlags
	cmd := &cobra.Command{
		Use:     "delete NAME|ID…",
		Short:   "Delete roles, and take them from all who have them",
		Example: `  kuva role delete auditor`,
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, _, err := f.connect(cmd.Context())
			if err != nil {
				return err
			}
			return eachNamed(cmd, args, func(name string) (string, error) {
				r, err := client.FindThing[client.Role](cmd.Context(), ids, name, "")
				if err != nil {
					return "", err
				}
				return r.ID + " " + r.Name, client.DeleteThing[client.Role](cmd.Context(), ids, r.ID)
			})
		},
	}
	f.add(cmd, false)
	return cmd
}
