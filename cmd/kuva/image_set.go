package main

import (
	"slices"

	"github.com/spf13/cobra"

	"kuva/client"
)

func newImageSet() *cobra.Command {
	var cloud cloud
	var name, visibility string
	var properties, unset, tags, untag []string
	var protected, hidden, asJSON bool
	var minDisk, minRAM int64
	cmd := &cobra.Command{
		Use:   "set ID|NAME",
		Short: "Change what an image says of itself",
		Long: `Change an image's name, who sees it, its properties, tags and needs. What is not
named stays. All changes are made, or none.

An image that is public is seen by everybody and changed by administrators;
hidden ones are left out of lists and can still be used.`,
		Example: `  kuva image set web-1 --name web-2 --tag approved
  kuva image set web-2 --visibility community --min-ram 2048
  kuva image set web-2 --property os_distro=debian --unset hw_video_model
  kuva image set web-2 --protected=false`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := pairs(properties)
			if err != nil {
				return err
			}
			var changes []client.Change
			for flag, ch := range map[string]client.Change{
				"name": {Name: "name", Value: name}, "visibility": {Name: "visibility", Value: visibility}, "protected": {Name: "protected", Value: protected},
				"hidden": {Name: "os_hidden", Value: hidden}, "min-disk": {Name: "min_disk", Value: minDisk}, "min-ram": {Name: "min_ram", Value: minRAM},
			} {
				if cmd.Flags().Changed(flag) {
					changes = append(changes, ch)
				}
			}
			for name, value := range set {
				changes = append(changes, client.Change{Name: name, Value: value})
			}
			for _, name := range unset {
				changes = append(changes, client.Change{Name: name})
			}
			if len(changes)+len(tags)+len(untag) == 0 {
				return usagef("say what is to change\nSee: kuva image set --help")
			}
			c, err := cloud.connect(cmd.Context())
			if err != nil {
				return err
			}
			img, err := c.Find(cmd.Context(), args[0])
			if err != nil {
				return judged(err)
			}
			if len(tags)+len(untag) > 0 {
				now := slices.DeleteFunc(slices.Clone(img.Tags), func(t string) bool { return slices.Contains(untag, t) || slices.Contains(tags, t) })
				changes = append(changes, client.Change{Name: "tags", Value: append([]string{}, append(now, tags...)...)})
			}
			if img, err = c.Update(cmd.Context(), img.ID, changes); err != nil {
				return judged(err)
			}
			return printImage(cmd.OutOrStdout(), img, asJSON)
		},
	}
	f := cmd.Flags()
	cloud.flags(f)
	f.StringVar(&name, "name", "", "its new `NAME`")
	f.StringVar(&visibility, "visibility", "", "who may see it: `VISIBILITY` private, shared, community, public")
	f.StringArrayVar(&properties, "property", nil, "`KEY=VALUE`; may be given several times")
	f.StringArrayVar(&unset, "unset", nil, "take the property `KEY` away; may be given several times")
	f.StringArrayVar(&tags, "tag", nil, "add `TAG`; may be given several times")
	f.StringArrayVar(&untag, "untag", nil, "take `TAG` away; may be given several times")
	f.BoolVar(&protected, "protected", false, "keep it from being deleted")
	f.BoolVar(&hidden, "hidden", false, "leave it out of lists")
	f.Int64Var(&minDisk, "min-disk", 0, "`GiB` of disk that a machine needs to boot it")
	f.Int64Var(&minRAM, "min-ram", 0, "`MiB` of memory that a machine needs to boot it")
	f.BoolVar(&asJSON, "json", false, "print the image as JSON")
	return cmd
}
