package ledger

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// Several processes on one file, some of which die. The test binary runs itself
// as the other processes: childJob says what to do, childURL on which ledger.

const (
	childJob = "LEDGER_TEST_JOB"
	childURL = "LEDGER_TEST_URL"
)

// kills may be raised for a longer run.
var kills = flag.Int("kills", 20, "how often to kill a writing process")

func TestMain(m *testing.M) {
	if job := os.Getenv(childJob); job != "" {
		if err := runChild(job); err != nil {
			fmt.Fprintln(os.Stderr, job+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func runChild(job string) error {
	// The parent closes our input to let all children go at once.
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	ctx := context.Background()
	s, err := Open(ctx, os.Getenv(childURL))
	if err != nil {
		return err
	}
	switch job {
	case "race":
		err = childRace(ctx, s)
	case "first":
		err = s.Commit(ctx, item(fmt.Sprint("child/", os.Getpid()), 0, ""))
	case "write":
		err = childWrite(ctx, s)
	case "pair":
		err = childPair(ctx, s)
	}
	return errors.Join(err, s.Close())
}

// A child is the test binary doing a job in another process.
type child struct {
	cmd    *exec.Cmd
	start  io.Closer
	stdout io.ReadCloser
	stderr bytes.Buffer
}

// startChild starts a process that waits for start to be closed.
func startChild(t *testing.T, job, url string) *child {
	t.Helper()
	c := &child{cmd: exec.CommandContext(t.Context(), os.Args[0])}
	c.cmd.Env = append(os.Environ(), childJob+"="+job, childURL+"="+url)
	c.cmd.Stderr = &c.stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.start = stdin
	if c.stdout, err = c.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// finish returns what the child printed, and fails the test if it failed.
func (c *child) finish(t *testing.T) []byte {
	t.Helper()
	out, err := io.ReadAll(c.stdout)
	if err = errors.Join(err, c.cmd.Wait()); err != nil {
		t.Errorf("child: %v\n%s", err, c.stderr.String())
	}
	return out
}

const (
	raceClaims     = 15
	raceIncrements = 15
	raceRefunds    = 15
)

// raceReport is what a racing child tells of itself.
type raceReport struct {
	Won      []string // claims
	Reserved int64    // of the order
}

func childRace(ctx context.Context, s *Store) error {
	var report raceReport
	for i := range raceClaims {
		claim := fmt.Sprint("claim/", i)
		switch err := s.Commit(ctx, item(claim, 0, strconv.Itoa(os.Getpid()))); {
		case err == nil:
			report.Won = append(report.Won, claim)
		case !errors.Is(err, refund.ErrStale):
			return err
		}
	}
	errs := make([]error, 4)
	together(len(errs), func(g int) {
		for range raceIncrements {
			if errs[g] = increment(ctx, s, "counter"); errs[g] != nil {
				return
			}
		}
	})
	for i := range raceRefunds {
		amount := 1 + rand.Int64N(200)
		ok, err := reserve(ctx, s, "order", refund.Key(fmt.Sprintf("refund/%d/%d", os.Getpid(), i)), amount)
		if err != nil {
			return err
		}
		if ok {
			report.Reserved += amount
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}

// Several processes claim, count and reserve on one file: no claim is won
// twice, no increment is lost, and the order is not overdrawn.
func TestProcessesShareAFile(t *testing.T) {
	t.Parallel()
	raceProcesses(t, "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"))
}

func raceProcesses(t *testing.T, url string) {
	t.Helper()
	s := open(t, url)
	commit(t, s, item("order", 0, `{"total":3000,"reserved":0}`))

	children := make([]*child, 4)
	for i := range children {
		children[i] = startChild(t, "race", url)
	}
	for _, c := range children {
		c.start.Close()
	}
	winner := map[string]int{}
	var reserved int64
	for _, c := range children {
		var report raceReport
		if out := c.finish(t); json.Unmarshal(out, &report) != nil {
			t.Fatalf("a child printed %q", out)
		}
		for _, claim := range report.Won {
			if winner[claim] != 0 {
				t.Errorf("%s was won by two", claim)
			}
			winner[claim] = c.cmd.Process.Pid
		}
		reserved += report.Reserved
	}
	for i := range raceClaims {
		claim := fmt.Sprint("claim/", i)
		if got := string(get(t, s, refund.Key(claim))[0].Body); got != strconv.Itoa(winner[claim]) {
			t.Errorf("%s belongs to %s, it was won by %d", claim, got, winner[claim])
		}
	}
	want := int64(len(children) * 4 * raceIncrements)
	same(t, "counter", get(t, s, "counter"), []refund.Item{item("counter", want, strconv.FormatInt(want, 10))})
	var a account
	if err := json.Unmarshal(get(t, s, "order")[0].Body, &a); err != nil {
		t.Fatal(err)
	}
	if a.Reserved != reserved || a.Reserved > a.Total {
		t.Errorf("reserved %d of %d, the children reserved %d", a.Reserved, a.Total, reserved)
	}
}

// Several processes open a file that does not exist yet: one makes it, the
// others wait for that, and none fails.
func TestProcessesOpenAFreshFile(t *testing.T) {
	t.Parallel()
	for range 3 {
		openByProcesses(t, "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"), 6)
	}
}

func openByProcesses(t *testing.T, url string, n int) {
	t.Helper()
	children := make([]*child, n)
	for i := range children {
		children[i] = startChild(t, "first", url)
	}
	for _, c := range children {
		c.start.Close()
	}
	for _, c := range children {
		c.finish(t)
	}
	s := open(t, url)
	for _, c := range children {
		if key := refund.Key(fmt.Sprint("child/", c.cmd.Process.Pid)); get(t, s, key)[0].Version != 1 {
			t.Errorf("%s is missing", key)
		}
	}
}

// races may be raised for a longer run.
var races = flag.Int("races", 10, "how often two processes race for an order")

func raceOrder(i int) (order, number refund.Key) {
	return refund.Key(fmt.Sprint("order/", i)), refund.Key(fmt.Sprintf("refund/%d/%d", i, os.Getpid()))
}

// childPair waits for each order to appear and at once claims 60 of its 100.
func childPair(ctx context.Context, s *Store) error {
	for i := 0; ; i++ {
		order, number := raceOrder(i)
		for {
			items, err := s.Get(ctx, "end", order)
			if err != nil {
				return err
			}
			if items[1].Version > 0 {
				break
			}
			if items[0].Version > 0 {
				return nil
			}
		}
		ok, err := reserve(ctx, s, order, number, 60)
		if err != nil {
			return err
		}
		fmt.Println(ok)
	}
}

// Two processes claim 60 of an order of 100 at the same moment, again and again:
// each time one of them gets it and the other is told that there is no room.
func TestTwoProcessesRaceForAnOrder(t *testing.T) {
	overAll(t, func(t *testing.T, b backend, _ func() *Store) {
		if b.private {
			t.Skip("a process cannot share it")
		}
		url := b.fresh(t)
		s := open(t, url)
		children := []*child{startChild(t, "pair", url), startChild(t, "pair", url)}
		var answers []*bufio.Scanner
		for _, c := range children {
			c.start.Close()
			answers = append(answers, bufio.NewScanner(c.stdout))
		}
		wins := make([]int, len(children))
		for i := range *races {
			order, _ := raceOrder(i)
			commit(t, s, item(string(order), 0, `{"total":100,"reserved":0}`))
			won := 0
			for c, lines := range answers {
				if !lines.Scan() {
					t.Fatalf("race %d: a child ended: %s", i, children[c].stderr.String())
				}
				if lines.Text() == "true" {
					won++
					wins[c]++
				}
			}
			var a account
			if err := json.Unmarshal(get(t, s, order)[0].Body, &a); err != nil {
				t.Fatal(err)
			}
			if won != 1 || a.Reserved != 60 {
				t.Fatalf("race %d: %d won, %d of 100 are reserved; want 1 and 60", i, won, a.Reserved)
			}
		}
		commit(t, s, item("end", 0, ""))
		for _, c := range children {
			c.finish(t)
		}
		t.Logf("%d races, won %v", *races, wins)
	})
}

// written is what childWrite commits as its nth. It is so large that now and
// then a commit has to move the log into the file.
func written(n int) []refund.Item {
	body := strings.Repeat(strconv.Itoa(n)+" ", 20_000)
	return []refund.Item{
		dueItem(fmt.Sprint("left/", n), 0, body, at(n)),
		item("count", int64(n), strconv.Itoa(n)),
		item(fmt.Sprint("right/", n), 0, body),
	}
}

// childWrite commits from where the ledger stands, without end, and prints the
// number of each commit after it has returned.
func childWrite(ctx context.Context, s *Store) error {
	items, err := s.Get(ctx, "count")
	if err != nil {
		return err
	}
	for n := int(items[0].Version); ; n++ {
		if err := s.Commit(ctx, written(n)...); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// A process is killed again and again while it writes. Each time the file is
// sound, every commit that was acknowledged is there, and the one that was
// under way is there as a whole or not at all.
func TestD2KilledWhileWriting(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	killWriters(t, "sqlite:"+path, *kills, func() { checkIntegrity(t, path) })
}

// killWriters calls dead each time that a process has been killed.
func killWriters(t *testing.T, url string, kills int, dead func()) {
	t.Helper()
	stored, unacknowledged := 0, 0
	for round := range kills {
		c := startChild(t, "write", url)
		c.start.Close()
		lines := bufio.NewScanner(c.stdout)
		if !lines.Scan() {
			t.Fatalf("the child wrote nothing: %s", c.stderr.String())
		}
		// The child is writing now. All it prints until it dies is read.
		time.AfterFunc(time.Duration(rand.IntN(40_000))*time.Microsecond, func() { c.cmd.Process.Kill() })
		acknowledged := stored
		for more := true; more; more = lines.Scan() {
			n, err := strconv.Atoi(lines.Text())
			if err != nil || n != acknowledged {
				t.Fatalf("the child printed %q after %d", lines.Text(), acknowledged)
			}
			acknowledged++
		}
		c.cmd.Wait() // killed
		if c.stderr.Len() > 0 {
			t.Fatal(c.stderr.String())
		}

		dead()
		s := open(t, url)
		was := stored
		stored = int(get(t, s, "count")[0].Version)
		if stored != acknowledged && stored != acknowledged+1 {
			t.Fatalf("round %d: %d commits were acknowledged, %d are stored", round, acknowledged, stored)
		}
		unacknowledged += stored - acknowledged
		for n := was; n <= stored; n++ { // the last is one that must not be there
			want := written(n)
			got := get(t, s, want[0].Key, want[2].Key)
			for i, item := range []refund.Item{want[0], want[2]} {
				if n == stored {
					item = refund.Item{Key: item.Key}
				} else {
					item.Version++
				}
				same(t, fmt.Sprintf("round %d, commit %d", round, n), got[i:i+1], []refund.Item{item})
			}
		}
		s.Close()
		if t.Failed() {
			return
		}
	}
	t.Logf("%d commits in %d lives, %d of them stored but not acknowledged", stored, kills, unacknowledged)
}

// checkIntegrity has SQLite examine the whole file, over a connection that is
// set up by nothing of ours.
func checkIntegrity(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var result string
	if err := db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
		t.Fatalf("integrity_check: %q, %v", result, err)
	}
}
