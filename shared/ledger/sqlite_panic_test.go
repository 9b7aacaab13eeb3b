//go:build sqlite || !slim

package ledger

import (
	"context"
	"path/filepath"
	"testing"

	"wxrefund/shared/refund"
)

// A brokenContext panics when it is asked for the second time, as a defect may while a
// commit is written.
type brokenContext struct {
	context.Context
	asked int
	first func()
}

func (c *brokenContext) Err() error {
	if c.asked++; c.asked > 1 {
		panic("a defect")
	}
	c.first()
	return nil
}

// A caller whose commit another one writes is never told that it is done if that other
// dies before the transaction has ended.
func TestLeadersPanicIsNobodysSuccess(t *testing.T) {
	s, err := openSQLite(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	file := s.(*sqliteFile)
	follower := make(chan error, 1)
	ctx := &brokenContext{Context: t.Context(), first: func() {
		go func() {
			follower <- file.commit(context.Background(), []refund.Item{{Key: "follower", Body: []byte("x")}})
		}()
		for waiting := 0; waiting == 0; {
			file.mu.Lock()
			waiting = len(file.waiting)
			file.mu.Unlock()
		}
	}}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the leader has not panicked: this test proves nothing")
			}
		}()
		_ = file.commit(ctx, []refund.Item{{Key: "leader", Body: []byte("x")}})
	}()
	told := <-follower
	found, err := file.get(t.Context(), []refund.Key{"leader", "follower"})
	if err != nil {
		t.Fatal(err)
	}
	if told == nil || len(found) > 0 {
		t.Errorf("the follower was told %v, and the ledger has %v", told, found)
	}
	if err := file.commit(t.Context(), []refund.Item{{Key: "next", Body: []byte("x")}}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
