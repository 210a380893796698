// Command seed fills the database of a stopped kuva with images of the project
// admin, so that lists can be measured on a large table: what a million calls
// of the API would leave, without the hours they take.
//
//	seed sqlite:PATH COUNT
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"

	"kuva"
	"kuva/internal/catalog"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "seed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: seed sqlite:PATH COUNT")
	}
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	db, err := catalog.Open(ctx, catalog.Config{DSN: args[0], NoSync: true})
	if err != nil {
		return err
	}
	defer db.Close()
	var owner string
	err = db.View(ctx, func(tx *catalog.Tx) error {
		return tx.QueryRow(ctx, `SELECT id FROM project WHERE name = 'admin'`).Scan(&owner)
	})
	if err != nil {
		return fmt.Errorf("project admin: %w", err)
	}
	const batch = 5000
	start := time.Now().Add(-time.Duration(count) * time.Second)
	for done := 0; done < count; done += batch {
		err := db.Update(ctx, func(tx *catalog.Tx) error {
			for i := done; i < min(done+batch, count); i++ {
				at := start.Add(time.Duration(i) * time.Second)
				m := &catalog.Image{Image: kuva.Image{
					ID: uuid.NewString(), Name: fmt.Sprintf("seed-%07d", i), Owner: owner, Status: kuva.StatusQueued,
					Visibility: kuva.VisibilityShared, DiskFormat: "raw", ContainerFormat: "bare",
					Tags:       []string{"common", fmt.Sprintf("t%d", i%50)},
					Properties: map[string]string{"os_distro": fmt.Sprintf("debian%d", i%10), "hw_disk_bus": "virtio"},
					Size:       -1, VirtualSize: -1, Version: 1, CreatedAt: at, UpdatedAt: at,
				}, CardVersion: 1}
				if err := catalog.InsertImage(ctx, tx, m); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
