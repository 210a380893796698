package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"kuva/client"
)

func newUser() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Create and tend users",
		Long: `Work with the users of a kuva, or of any OpenStack cloud with its own Keystone. Only
administrators may.

Passwords are never on the command line. They are asked for on the terminal, or come
from the first line of standard input (--password-stdin), or from KUVA_USER_PASSWORD.`,
		Example: `  kuva user create --project blue --role member alice
  pwgen 24 1 | kuva user set --password-stdin alice`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newUserCreate(), newUserList(), newUserShow(), newUserSet(), newUserDelete())
	return cmd
}

func printUser(cmd *cobra.Command, u client.User, asJSON bool) error {
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), u)
	}
	return facts(cmd.OutOrStdout(), "id", u.ID, "name", u.Name, "domain", u.DomainID, "description", u.Description, "email", u.Email,
		"default project", u.DefaultProject, "enabled", strconv.FormatBool(u.Enabled))
}

func newUserCreate() *cobra.Command {
	var f identityFlags
	var project, role, email, description string
	var stdin, without, disable bool
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a user",
		Long: `Create a user. With --project and --role it gets the role there, too, and the
project becomes its default.`,
		Example: `  kuva user create --project blue --role member --email alice@example.org alice
  kuva user create --no-password --project blue --role reader backup`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if role != "" && project == "" {
				return usage(spokenError("cli.role_needs_project"))
			}
			ctx := cmd.Context()
			ids, domain, err := f.connect(ctx)
			if err != nil {
				return err
			}
			members := map[string]any{"name": args[0], "enabled": !disable}
			for name, value := range map[string]string{"domain_id": domain, "email": email, "description": description} {
				if value != "" {
					members[name] = value
				}
			}
			grant := client.Grant{}
			if project != "" {
				p, err := client.FindThing[client.Project](ctx, ids, project, domain)
				if err != nil {
					return judged(err)
				}
				members["default_project_id"], grant.Project = p.ID, p.ID
			}
			if role != "" {
				r, err := client.FindThing[client.Role](ctx, ids, role, "")
				if err != nil {
					return judged(err)
				}
				grant.Role = r.ID
			}
			if !without {
				password, err := newPassword(cmd, stdin)
				if err != nil {
					return err
				}
				members["password"] = password
			}
			u, err := client.CreateThing[client.User](ctx, ids, members)
			if err != nil {
				return judged(err)
			}
			if grant.Role != "" {
				grant.User = u.ID
				if err := ids.Give(ctx, grant); err != nil {
					return judged(err)
				}
			}
			return printUser(cmd, u, f.json)
		},
	}
	f.add(cmd, true)
	cmd.Flags().StringVar(&project, "project", "", "its default project, by `NAME` or id")
	cmd.Flags().StringVar(&role, "role", "", "with this `ROLE` in the project: admin, member, reader")
	cmd.Flags().StringVar(&email, "email", "", "its e-mail `ADDRESS`")
	cmd.Flags().StringVar(&description, "description", "", "who or what it is: `TEXT`")
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	cmd.Flags().BoolVar(&without, "no-password", false, "without a password: it cannot log in until it gets one")
	cmd.Flags().BoolVar(&disable, "disable", false, "do not let it log in yet")
	cmd.MarkFlagsMutuallyExclusive("password-stdin", "no-password")
	return cmd
}

func newUserList() *cobra.Command {
	var f identityFlags
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List users",
		Example: `  kuva user list`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ids, domain, err := f.connect(cmd.Context())
			if err != nil {
				return err
			}
			found, err := client.ListThings[client.User](cmd.Context(), ids, inDomain(domain))
			if err != nil {
				return judged(err)
			}
			if f.json {
				return writeJSON(cmd.OutOrStdout(), append([]client.User{}, found...))
			}
			var rows [][]string
			for _, u := range found {
				rows = append(rows, []string{u.ID, u.Name, u.DomainID, yesNo(u.Enabled), u.Email, u.Description})
			}
			return table(cmd.OutOrStdout(), []string{"ID", "NAME", "DOMAIN", "ENABLED", "EMAIL", "DESCRIPTION"}, rows)
		},
	}
	f.add(cmd, true)
	return cmd
}

func newUserShow() *cobra.Command {
	var f identityFlags
	cmd := &cobra.Command{
		Use:     "show NAME|ID",
		Short:   "Show a user",
		Example: `  kuva user show alice`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, domain, err := f.connect(cmd.Context())
			if err != nil {
				return err
			}
			u, err := client.FindThing[client.User](cmd.Context(), ids, args[0], domain)
			if err != nil {
				return judged(err)
			}
			return printUser(cmd, u, f.json)
		},
	}
	f.add(cmd, true)
	return cmd
}

func newUserSet() *cobra.Command {
	var f identityFlags
	var name, email, description, project string
	var password, stdin, enable, disable bool
	cmd := &cobra.Command{
		Use:   "set NAME|ID",
		Short: "Change a user, or its password",
		Long:  `Change a user. A new password, and disabling, take back all of its tokens.`,
		Example: `  kuva user set --password alice
  kuva user set --disable alice`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			members := changed(cmd, map[string]any{"name": name, "email": email, "description": description})
			enabling(cmd, enable, disable, members)
			if len(members) == 0 && project == "" && !password && !stdin {
				return usage(spokenError("cli.nothing_to_set"))
			}
			ids, domain, err := f.connect(ctx)
			if err != nil {
				return err
			}
			u, err := client.FindThing[client.User](ctx, ids, args[0], domain)
			if err != nil {
				return judged(err)
			}
			if project != "" {
				p, err := client.FindThing[client.Project](ctx, ids, project, domain)
				if err != nil {
					return judged(err)
				}
				members["default_project_id"] = p.ID
			}
			if password || stdin {
				if members["password"], err = newPassword(cmd, stdin); err != nil {
					return err
				}
			}
			if u, err = client.UpdateThing[client.User](ctx, ids, u.ID, members); err != nil {
				return judged(err)
			}
			return printUser(cmd, u, f.json)
		},
	}
	f.add(cmd, true)
	cmd.Flags().StringVar(&name, "name", "", "call it `NAME`")
	cmd.Flags().StringVar(&project, "project", "", "its default project, by `NAME` or id")
	cmd.Flags().StringVar(&email, "email", "", "its e-mail `ADDRESS`")
	cmd.Flags().StringVar(&description, "description", "", "who or what it is: `TEXT`")
	cmd.Flags().BoolVar(&password, "password", false, "give it another password")
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, "the same, and read it from standard input")
	cmd.Flags().BoolVar(&enable, "enable", false, "let it log in")
	cmd.Flags().BoolVar(&disable, "disable", false, "do not let it log in")
	cmd.MarkFlagsMutuallyExclusive("enable", "disable")
	return cmd
}

func newUserDelete() *cobra.Command {
	var f identityFlags
	cmd := &cobra.Command{
		Use:     "delete NAME|ID…",
		Short:   "Delete users",
		Example: `  kuva user delete alice`,
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, domain, err := f.connect(cmd.Context())
			if err != nil {
				return err
			}
			return eachNamed(cmd, args, func(name string) (string, error) {
				u, err := client.FindThing[client.User](cmd.Context(), ids, name, domain)
				if err != nil {
					return "", err
				}
				return u.ID + " " + u.Name, client.DeleteThing[client.User](cmd.Context(), ids, u.ID)
			})
		},
	}
	f.add(cmd, false)
	return cmd
}
