//go:build heavy

package ledger

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// kills may be raised for a longer run.
var kills = flag.Int("kills", 20, "how often to kill a writing process")

// races may be raised for a longer run.
var races = flag.Int("races", 10, "how often two processes race for an order")

// Several processes claim, count and reserve on one ledger: no claim is won
// twice, no increment is lost, and the order is not overdrawn.
func TestProcessesSharingALedgerLoseNothing(t *testing.T) {
	overShared(t, func(t *testing.T, _ backend, url string) {
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
	})
}

// Several processes open a ledger that does not exist yet: whoever comes first makes
// it, the others wait for that, and none fails.
func TestProcessesMayOpenAFreshLedgerAtOnce(t *testing.T) {
	overShared(t, func(t *testing.T, _ backend, url string) {
		children := make([]*child, 16)
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
	})
}

// A7: two processes claim 60 of an order of 100 at the same time, again and again:
// each time one of them gets it and the other is refused for want of room.
func TestOneOfTwoProcessesGetsAnOrder(t *testing.T) {
	overShared(t, func(t *testing.T, _ backend, url string) {
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

// D2: a process is killed again and again while it writes. Each time every commit that
// was acknowledged is there, and the one that was under way is there as a whole or not
// at all.
func TestKilledProcessLosesNoAcknowledgedCommit(t *testing.T) {
	overShared(t, func(t *testing.T, b backend, url string) {
		rounds, longest := *kills, 40*time.Millisecond
		if b.remote {
			rounds = (rounds + 1) / 2
		}
		if b.slow {
			longest *= 10 // for some commits
		}
		stored, unacknowledged := 0, 0
		for round := range rounds {
			c := startChild(t, "write", url)
			c.start.Close()
			lines := bufio.NewScanner(c.stdout)
			if !lines.Scan() {
				t.Fatalf("the child wrote nothing: %s", c.stderr.String())
			}
			// The child is writing now. All it prints until it dies is read.
			time.AfterFunc(rand.N(longest), func() { c.cmd.Process.Kill() })
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

			rest(t, b, url)
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
		t.Logf("%d commits in %d lives, %d of them stored but not acknowledged", stored, rounds, unacknowledged)
	})
}

// rest waits until nothing is at work any more on what a killed process sent last, and
// examines a file.
func rest(t *testing.T, b backend, url string) {
	t.Helper()
	switch b.scheme {
	case "sqlite":
		checkIntegrity(t, strings.TrimPrefix(url, "sqlite:"))
	case "dynamodb", "cloudbase": // it is soon done with
		s := open(t, url)
		defer s.Close()
		for was, count := int64(-1), int64(-2); was != count; time.Sleep(100 * time.Millisecond) {
			was, count = count, get(t, s, "count")[0].Version
		}
	default: // the lock of a row that is in every commit waits for that
		var version int
		if err := database(t, url).QueryRowContext(t.Context(), `SELECT version FROM wxrefund_items WHERE item_key = 'count' FOR UPDATE`).Scan(&version); err != nil {
			t.Fatal(err)
		}
	}
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
