package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"wxrefund/shared/needs"
	"wxrefund/shared/refund"
)

// Several processes on one ledger. The test binary runs itself as the others: childJob says what to do, childURL on which ledger.

const (
	childJob = "LEDGER_TEST_JOB"
	childURL = "LEDGER_TEST_URL"
)

func TestMain(m *testing.M) {
	_ = os.Setenv("CLOUDBASE_APIKEY", cloudbaseKey) // of the stand-in, for children too
	if job := os.Getenv(childJob); job != "" {
		if err := runChild(job); err != nil {
			fmt.Fprintln(os.Stderr, job+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(needs.Main(m))
}

func runChild(job string) error {
	// The parent closes our input to let all children go at once.
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	ctx := context.Background()
	url, target, _ := strings.Cut(os.Getenv(childURL), " ") // the second is copy's
	s, err := Open(ctx, url)
	if err != nil {
		return err
	}
	switch job {
	case "race":
		err = childRace(ctx, s)
	case "first":
		err = s.Commit(ctx, item(fmt.Sprint("child/", os.Getpid()), 0, ""))
	case "copy":
		err = childCopy(ctx, s, target)
	case "write":
		err = childWrite(ctx, s)
	case "pair":
		err = childPair(ctx, s)
	}
	return errors.Join(err, s.Close())
}

// A child is the test binary at work in another process.
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

// raceReport is what a racing child has achieved.
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
