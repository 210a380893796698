package lossyfs

import (
	"bufio"
	"database/sql"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// TestMain makes the test binary also the program that the power-loss tests
// run on the file system: what it does is named by an environment variable.
func TestMain(m *testing.M) {
	if dir := os.Getenv("LOSSYFS_TEST_SQLITE"); dir != "" {
		if err := countInSQLite(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// countInSQLite commits one row after the other and prints its number only
// then, as kuva answers only what is durable.
func countInSQLite(dir string) error {
	db, err := sql.Open("sqlite", "file:"+dir+"/count.db?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(20)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE IF NOT EXISTS row (n INTEGER PRIMARY KEY, filler TEXT)"); err != nil {
		return err
	}
	var check string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
		return fmt.Errorf("integrity: %s %w", check, err)
	}
	var rows, last int
	if err := db.QueryRow("SELECT count(*), coalesce(max(n), 0) FROM row").Scan(&rows, &last); err != nil {
		return err
	}
	if rows != last {
		return fmt.Errorf("%d rows, the last is number %d", rows, last)
	}
	fmt.Println("start", last)
	for n := last + 1; ; n++ {
		if _, err := db.Exec("INSERT INTO row VALUES ($1, $2)", n, strings.Repeat("x", 700)); err != nil {
			return err
		}
		fmt.Println("done", n)
	}
}

// cycle runs the counter until it has done some rows and kills it. It returns
// what it started from and the last number it promised.
func cycle(t *testing.T, dir string, rows int, pause time.Duration) (start, done int, err error) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LOSSYFS_TEST_SQLITE="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	killing := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "start":
			start, _ = strconv.Atoi(rest)
			done = start
		case "done":
			done, _ = strconv.Atoi(rest)
		default:
			return start, done, fmt.Errorf("%s", rest)
		}
		if done >= start+rows && !killing {
			killing = true
			go func() {
				time.Sleep(pause)
				cmd.Process.Kill()
			}()
		}
	}
	return start, done, nil
}

// SQLite with synchronous FULL keeps every committed row through crashes: the
// shared mapping of its -shm file works here, and it syncs the directory that
// its files are in by itself.
func TestSQLiteSurvives(t *testing.T) {
	f := Test(t, Config{})
	dice := rand.New(rand.NewSource(1))
	promised := 0
	for seed := range int64(10) {
		start, done, err := cycle(t, f.Dir(), 5+dice.Intn(60), time.Duration(dice.Intn(3000))*time.Microsecond)
		if err != nil {
			t.Fatalf("cycle %d: %v", seed, err)
		}
		if start < promised {
			t.Fatalf("cycle %d starts with %d rows, %d were promised", seed, start, promised)
		}
		promised = done
		must(t, f.Crash(seed)) // the first one keeps nothing by luck
	}
	t.Logf("%d rows, %+v", promised, f.Stats())
}

// The same program loses rows where the syncs of its files are forgotten:
// the test above can fail.
func TestSQLiteWithoutSyncIsCaught(t *testing.T) {
	f := Test(t, Config{IgnoreSync: func(path string, _ bool) bool { return strings.HasPrefix(path, "count.db") }})
	promised := 0
	for range 5 {
		start, done, err := cycle(t, f.Dir(), 30, 0)
		if err != nil || start < promised {
			return // lost, as it must
		}
		promised = done
		must(t, f.Crash(0))
	}
	t.Error("a database that is never synced lost nothing in five power cuts")
}
