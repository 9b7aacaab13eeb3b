//go:build heavy

package ledger

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// unknown checks that a call failed without saying that it was refused.
func unknown(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || errors.Is(err, refund.ErrStale) {
		t.Errorf("%s: got %v, want an error that is not ErrStale", what, err)
	}
}

// soon checks that a call ended when its context did.
func soon(t *testing.T, what string, wait time.Duration, call func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	start := time.Now()
	err := call(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, refund.ErrStale) {
		t.Errorf("%s: got %v, want DeadlineExceeded", what, err)
	}
	if took := time.Since(start); took > wait+2*time.Second {
		t.Errorf("%s: the context ended after %v, the call after %v", what, wait, took)
	}
}

// knows reports whether a commit whose answer is lost finds out by itself what became of it, and
// not only whoever reads afterwards.
func knows(url string) bool { return strings.HasPrefix(url, "postgres") }

// The answer to a commit gets lost. PostgreSQL's is asked again, and says that all was written.
// In MySQL's family the caller sees an error; the next Get shows it, and to repeat the commit is
// refused as stale.
func TestLostAnswerOfACommitIsNeverCalledStale(t *testing.T) {
	overServers(t, func(t *testing.T, url string) {
		p, url := newProxy(t, url)
		s := open(t, url)
		commit(t, s, item("a", 0, "A"))
		for version := int64(1); version < 5; version++ {
			p.fail(atCommit, cutAfter)
			items := []refund.Item{item("a", version, "x"), item("b", version-1, "x")}
			err := s.Commit(t.Context(), items...)
			if !knows(url) {
				unknown(t, "the answer is lost", err)
			} else if err != nil {
				t.Errorf("the answer is lost: got %v", err)
			}
			if p.pending() != 0 {
				t.Fatalf("nothing was cut; got %v", err)
			}
			same(t, "the truth", get(t, s, "a", "b"), []refund.Item{item("a", version+1, "x"), item("b", version, "x")})
			if err := s.Commit(t.Context(), items...); !errors.Is(err, refund.ErrStale) {
				t.Errorf("repeated: got %v, want ErrStale", err)
			}
		}
	})
}

// Others write before a commit whose answer was lost is repeated. If they have written over all of
// it, nobody knows any more; what was stale from the beginning is stale.
func TestPostgresCommitOvertakenBeforeItsRepeatIsUnknown(t *testing.T) {
	direct := freshOf(t, "postgres")
	p, url := newProxy(t, direct)
	s, other := open(t, url), open(t, direct)
	commit(t, s, item("a", 0, "1"), item("b", 0, "1"))
	p.failThen(atCommit, cutAfter, func() { commit(t, other, item("a", 2, "other")) })
	commit(t, s, item("a", 1, "2"), item("b", 1, "2")) // b tells
	p.failThen(atCommit, cutAfter, func() { commit(t, other, item("a", 4, "other"), item("b", 3, "other")) })
	err := s.Commit(t.Context(), item("a", 3, "3"), item("b", 2, "3"))
	unknown(t, "all overtaken", err)
	same(t, "as the others wrote", get(t, s, "a", "b"), []refund.Item{item("a", 5, "other"), item("b", 4, "other")})
	p.failThen(atCommit, cutAfter, func() { commit(t, other, item("b", 4, "later")) })
	if err := s.Commit(t.Context(), item("a", 4, "x"), item("b", 4, "x")); !errors.Is(err, refund.ErrStale) {
		t.Errorf("stale before and after: got %v, want ErrStale", err)
	}
	if p.pending() != 0 {
		t.Error("not all was cut")
	}
}

// A connection is lost with a commit that has not arrived: nothing is written, or all of it by the
// repeat, once; and the ledger goes on over another connection.
func TestConnectionLostBeforeACommitWritesNothingOrAll(t *testing.T) {
	overServers(t, func(t *testing.T, url string) {
		p, url := newProxy(t, url)
		s := open(t, url)
		commit(t, s, item("a", 0, "A"))
		want := []refund.Item{item("a", 1, "A"), {Key: "b"}}
		p.fail(atCommit, cutBefore)
		if err := s.Commit(t.Context(), item("a", 7, "x"), item("b", 0, "x")); knows(url) && !errors.Is(err, refund.ErrStale) {
			t.Errorf("a stale one: got %v, want ErrStale", err)
		} else if !knows(url) {
			unknown(t, "a stale one", err)
		}
		same(t, "a stale one", get(t, s, "a", "b"), want)
		if knows(url) {
			p.fail(atCommit, cutBefore)
			commit(t, s, item("a", 1, "B"), item("b", 0, "B"))
			same(t, "repeated", get(t, s, "a", "b"), []refund.Item{item("a", 2, "B"), item("b", 1, "B")})
			for range defaultConns + 1 { // until it is given up
				p.fail(atCommit, cutBefore)
			}
			unknown(t, "given up", s.Commit(t.Context(), item("a", 2, "x"), item("b", 1, "x")))
			same(t, "given up", get(t, s, "a", "b"), []refund.Item{item("a", 2, "B"), item("b", 1, "B")})
		} else {
			p.fail(atCommit, cutBefore)
			unknown(t, "lost", s.Commit(t.Context(), item("a", 1, "x"), item("b", 0, "x")))
			same(t, "lost", get(t, s, "a", "b"), want)
			commit(t, s, item("a", 1, "B"), item("b", 0, "B"))
		}
		if p.pending() != 0 {
			t.Error("not all was cut")
		}
	})
}

// Connections that were lost while nobody used them are not noticed.
func TestConnectionsLostBetweenCallsAreReplaced(t *testing.T) {
	overServers(t, func(t *testing.T, url string) {
		p, url := newProxy(t, url)
		s := open(t, url)
		for version := range int64(3) {
			p.cut()
			commit(t, s, dueItem("a", version, "A", at(0)))
			p.cut()
			same(t, "Get", get(t, s, "a"), []refund.Item{dueItem("a", version+1, "A", at(0))})
			p.cut()
			if got := pages(t, s, at(0), 1); len(got) != 1 {
				t.Errorf("List: got %v", got)
			}
			// Nor is one that is lost by the query itself.
			p.fail(atSelect, cutAfter)
			same(t, "cut", get(t, s, "a"), []refund.Item{dueItem("a", version+1, "A", at(0))})
			if p.pending() != 0 {
				t.Fatal("nothing was cut")
			}
		}
	})
}

// A server that is silent, at whatever, holds nobody for longer than a context.
func TestSilentServerDelaysNoCallBeyondItsContext(t *testing.T) {
	overServers(t, func(t *testing.T, address string) {
		p, url := newProxy(t, address)
		s := open(t, url)
		commit(t, s, item("a", 0, "A"))
		p.fail(atCommit, hang)
		soon(t, "Commit", 300*time.Millisecond, func(ctx context.Context) error { return s.Commit(ctx, item("a", 1, "x")) })
		if p.pending() != 0 {
			t.Fatal("it did not hang")
		}
		p.cut()
		p.fail(atSelect, hang)
		soon(t, "Get", 300*time.Millisecond, func(ctx context.Context) error { _, err := s.Get(ctx, "a"); return err })
		same(t, "unchanged", get(t, open(t, address), "a"), []refund.Item{item("a", 1, "A")})

		// One that does not even greet.
		mute, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer mute.Close()
		s = open(t, withHost(t, address, mute.Addr().String()))
		soon(t, "mute", 300*time.Millisecond, func(ctx context.Context) error { return s.Commit(ctx, item("a", 0, "x")) })
	})
}

// withHost puts another address and a password into a URL.
func withHost(t *testing.T, address, host string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.Host, u.User = host, url.UserPassword("scott", "tiger%/")
	return u.String()
}

// A server that is down, or does not let us in, is an ordinary error without
// the password in it; once it is up, the same ledger works.
func TestServerThatIsDownIsAnErrorWithoutThePassword(t *testing.T) {
	overServers(t, func(t *testing.T, address string) {
		down, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		down.Close()
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{down.Addr().String(), u.Host} {
			s := open(t, withHost(t, address, host))
			if _, err := s.Get(t.Context(), "a"); err == nil || strings.Contains(err.Error(), "tiger") {
				t.Errorf("%s: got %v, want an error without the password", host, err)
			}
		}
		s := open(t, withHost(t, address, down.Addr().String()))
		unknown(t, "Commit", s.Commit(t.Context(), item("a", 0, "x")))
		_, _, err = s.List(t.Context(), refund.DueBy(at(0)), "", 1)
		unknown(t, "List", err)
	})
}

// Another transaction has locked the row: the commit waits, a context ends the
// wait, and the last failed attempt is no ErrStale.
func TestCommitWaitsForALockedRowUntilItsContextEnds(t *testing.T) {
	overServers(t, func(t *testing.T, url string) {
		s := open(t, url)
		commit(t, s, item("a", 0, "A"))
		tx, err := database(t, url).BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(t.Context(), "UPDATE wxrefund_items SET due = 1"); err != nil {
			t.Fatal(err)
		}
		same(t, "Get", get(t, s, "a"), []refund.Item{item("a", 1, "A")})
		soon(t, "Commit", 300*time.Millisecond, func(ctx context.Context) error { return s.Commit(ctx, item("a", 1, "x")) })

		single := open(t, url)
		single.store.(*server).dialect.attempts = 1
		start := time.Now()
		err = single.Commit(t.Context(), item("a", 1, "x"))
		unknown(t, "out of attempts", err)
		if !single.store.(*server).dialect.locked(err) || time.Since(start) > 2*lockSeconds*time.Second {
			t.Errorf("after %v: got %v, want it to find the row locked", time.Since(start), err)
		}
		time.AfterFunc(300*time.Millisecond, func() { tx.Rollback() })
		commit(t, s, item("a", 1, "B"))
		same(t, "after the wait", get(t, s, "a"), []refund.Item{item("a", 2, "B")})
	})
}

// Two transactions wait for each other's rows. The server ends one of them; if
// that is ours, it is begun again.
func TestCommitIsRepeatedAfterADeadlock(t *testing.T) {
	overServers(t, func(t *testing.T, url string) {
		s := open(t, url)
		items := []refund.Item{item("a", 0, "A"), item("b", 0, "B")}
		for i := range 20 { // who has written less is ended, in MySQL; that shall be us
			items = append(items, item(fmt.Sprint("b/", i), 0, ""))
		}
		commit(t, s, items...)
		db := database(t, url)
		for version := int64(1); version < 3; version++ {
			tx, err := db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			update := func(key string) error {
				_, err := tx.ExecContext(t.Context(), "UPDATE wxrefund_items SET due = 1 WHERE item_key LIKE '"+key+"%'")
				return err
			}
			if err := update("b"); err != nil {
				t.Fatal(err)
			}
			done := make(chan error)
			go func() { done <- s.Commit(t.Context(), item("a", version, "x"), item("b", version, "x")) }()
			time.Sleep(100 * time.Millisecond) // it has a by now, and waits for b
			if err := update("a"); err != nil {
				t.Errorf("the other one was ended: %v", err)
			}
			tx.Rollback()
			if err := <-done; err != nil {
				t.Errorf("got %v", err)
			}
			same(t, "both", get(t, s, "a", "b"), []refund.Item{item("a", version+1, "x"), item("b", version+1, "x")})
		}
	})
}

// When all connections are taken, a call waits, as long as its context.
func TestExhaustedPoolDelaysNoCallBeyondItsContext(t *testing.T) {
	overServers(t, func(t *testing.T, url string) {
		s := open(t, url)
		commit(t, s, item("a", 0, "A"))
		db := s.store.(*server).db
		if n := db.Stats().MaxOpenConnections; n != defaultConns {
			t.Errorf("up to %d connections, want %d", n, defaultConns)
		}
		for range defaultConns {
			conn, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
		}
		soon(t, "Commit", 200*time.Millisecond, func(ctx context.Context) error { return s.Commit(ctx, item("a", 1, "x")) })
		soon(t, "Get", 200*time.Millisecond, func(ctx context.Context) error { _, err := s.Get(ctx, "a"); return err })
		same(t, "unchanged", get(t, open(t, withQuery(t, url, "pool_max_conns", "1")), "a"), []refund.Item{item("a", 1, "A")})
	})
}

// Nothing is sent before the first use, and what failed then is tried again.
func TestOpenSendsNothing(t *testing.T) {
	overServers(t, func(t *testing.T, url string) {
		p, url := newProxy(t, url)
		s := open(t, url)
		if n := s.store.(*server).db.Stats().OpenConnections; n != 0 {
			t.Errorf("%d connections, want none", n)
		}
		for range 4 { // database/sql repeats a query three times by itself
			p.fail("wxrefund_items", cutBefore)
		}
		_, err := s.Get(t.Context(), "a")
		unknown(t, "first", err)
		together(8, func(int) { get(t, s, "a") })
	})
}
