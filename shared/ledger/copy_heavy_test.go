//go:build heavy

package ledger

import (
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"wxrefund/shared/needs"
	"wxrefund/shared/refund"
)

// A ledger goes round all databases, and comes back as it was: the same sum everywhere,
// and sound everywhere.
func TestLedgerGoesRoundAllDatabases(t *testing.T) {
	t.Parallel()
	first := open(t, "sqlite::memory:")
	lived(t, first, 600)
	want, err := SumOf(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	from := first
	all := backends()
	for _, b := range append(all[1:], all[1]) {
		if !t.Run(b.name, func(hopping *testing.T) {
			if b.env != "" {
				needs.Env(hopping, b.env)
			}
			to := open(t, b.fresh(t)) // which the next one reads
			sum, took := hop(hopping, from, to, true)
			if sum != want {
				hopping.Errorf("got %+v, want %+v", sum, want)
			}
			hopping.Logf("%d items in %v", sum.Items, took.Round(time.Millisecond))
			from = to
		}) {
			return
		}
	}
}

// A process that moves a ledger is killed again and again, at any moment. The next one
// goes on, at no moment are both ledgers open, and in the end the target has everything.
func TestKilledCopyGoesOn(t *testing.T) {
	overShared(t, func(t *testing.T, b backend, url string) {
		source := "sqlite:" + t.TempDir() + "/source.db"
		from := open(t, source)
		lived(t, from, 300)
		want, err := SumOf(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		lives, moved := 0, false
		for patience := 30 * time.Millisecond; !moved; patience = patience * 6 / 5 {
			lives++
			c := startChild(t, "copy", source+" "+url)
			c.start.Close()
			kill := time.AfterFunc(patience+rand.N(patience), func() { c.cmd.Process.Kill() })
			out, _ := io.ReadAll(c.stdout)
			err := c.cmd.Wait()
			if moved = string(out) == "moved\n"; !moved && kill.Stop() {
				t.Fatalf("it was not killed, and has not moved: %v: %s%s", err, out, c.stderr.String())
			}
			kill.Stop()
			to := open(t, url)
			src, err1 := refund.ReadOwnership(t.Context(), from)
			dst, err2 := refund.ReadOwnership(t.Context(), to)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			if src.Closed == nil && dst.Closed == nil && dst.Channel != "" {
				t.Fatal("both are open")
			}
			to.Close()
		}
		to := open(t, url)
		got, err := SumOf(t.Context(), to)
		if err != nil || got != want || !slices.Equal(content(t, to), content(t, from)) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		t.Logf("%d items in %d lives", got.Items, lives)
	})
}
