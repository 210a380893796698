package catalog_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"kuva/internal/catalog"
	"kuva/internal/testkit/lossyfs"
)

// powerEnv makes this test's program a child that counts in a database until
// the power goes.
const powerEnv = "KUVA_TEST_CATALOG_POWER"

func TestMain(m *testing.M) {
	if path := os.Getenv(powerEnv); path != "" {
		if err := countForEver(path, os.Stdout); err != nil {
			fmt.Println("error", err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// countForEver says which number it found and then each that is committed.
func countForEver(path string, out io.Writer) error {
	ctx := context.Background()
	db, err := catalog.Open(ctx, catalog.Config{DSN: "sqlite:" + path})
	if err != nil {
		return err
	}
	if problems, err := db.Check(ctx); err != nil || len(problems) > 0 {
		return fmt.Errorf("damage: %v, %w", problems, err)
	}
	n := 0
	err = db.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := tx.Exec(ctx, "CREATE TABLE IF NOT EXISTS counter (n BIGINT PRIMARY KEY, pad TEXT NOT NULL)"); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "SELECT COALESCE(max(n), 0) FROM counter").Scan(&n)
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "start", n)
	for {
		n++
		err := db.Update(ctx, func(tx *catalog.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO counter (n, pad) VALUES ($1, $2)", n, strings.Repeat("x", n*37%3000))
			return err
		})
		if err != nil {
			return err
		}
		fmt.Fprintln(out, "done", n)
	}
}

// untilPowerCut runs the child until the file system loses its power after
// so many operations.
func untilPowerCut(t *testing.T, f *lossyfs.FS, after int) (started bool, first, last int, said string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), powerEnv+"="+filepath.Join(f.Dir(), "catalog.db"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cut := f.CutAfter(after)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		<-cut
		_ = cmd.Process.Kill()
	}()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch word, rest, _ := strings.Cut(lines.Text(), " "); word {
		case "start":
			started = true
			first, _ = strconv.Atoi(rest)
			last = first
		case "done":
			last, _ = strconv.Atoi(rest)
		default:
			said = lines.Text()
		}
	}
	_ = cmd.Wait()
	f.Cut() // where the child ended first: it must not, and said why
	return started, first, last, said
}

// The power goes at any moment, from the first byte of the database on:
// nothing that Update acknowledged is lost, and the database opens again.
func TestPowerCuts(t *testing.T) {
	f := lossyfs.Test(t, lossyfs.Config{})
	seed := rand.Uint64()
	dice := rand.New(rand.NewPCG(seed, 0))
	promised := 0
	for cycle := range int64(30) {
		after := 1 + dice.IntN(40) // inside the creation
		if cycle >= 10 {
			after = 100 + dice.IntN(1500)
		}
		started, first, last, said := untilPowerCut(t, f, after)
		if started && first < promised {
			t.Fatalf("seed %d, cycle %d: %d were promised, %d are there", seed, cycle, promised, first)
		}
		if strings.Contains(said, "damage") {
			t.Fatalf("seed %d, cycle %d: %s", seed, cycle, said)
		}
		if started {
			promised = last
		}
		if err := f.Crash(cycle); err != nil {
			t.Fatal(err)
		}
	}
	if promised == 0 {
		t.Fatal("the child never got to count")
	}
	t.Logf("%d committed, %+v", promised, f.Stats())
}

// The same loses rows where the database's syncs are forgotten, or the
// directory's: the test above can fail.
func TestPowerCutsCatchMutants(t *testing.T) {
	for name, ignore := range map[string]func(string, bool) bool{
		"files":     func(_ string, dir bool) bool { return !dir },
		"directory": func(_ string, dir bool) bool { return dir },
	} {
		t.Run(name, func(t *testing.T) {
			f := lossyfs.Test(t, lossyfs.Config{IgnoreSync: ignore})
			promised := 0
			for range 6 {
				started, first, last, said := untilPowerCut(t, f, 1500)
				if started && first < promised || said != "" && !started {
					return // lost, as it must
				}
				promised = max(promised, last)
				if err := f.Crash(0); err != nil {
					t.Fatal(err)
				}
			}
			t.Errorf("nothing lost of %d commits without the %s syncs", promised, name)
		})
	}
}
