//go:build heavy

package process

import (
	"slices"
	"testing"
)

// toCloudBase moves a world's ledger to a database of its own at CloudBase.
func toCloudBase(w *World) {
	w.t.Helper()
	w.At(StartCloudBase(w.t))
}

// The whole table of kills, over HTTPS SQL: a process that dies between a request and its
// answer leaves no more in doubt there than over a connection.
func TestKilledFunctionsAtCloudBaseRefundOnce(t *testing.T) {
	runCrashesAt(t, toCloudBase, slices.Concat(killsBeforeTheClaim(), killedDispatchers(), unansweredDispatchers(), killedReconcilers(), killedNotifys())...)
}

func TestKillDuringDeliveryAtCloudBaseLosesNoEvent(t *testing.T) {
	t.Parallel()
	runDeliveryCrashes(t, toCloudBase, killsDuringDelivery())
}

func TestLedgerAtCloudBaseIsSoundAfterAKillAtAnyInstant(t *testing.T) {
	t.Parallel()
	w := NewWorld(t)
	toCloudBase(w)
	// Or whoever reads the ledger over a connection would make the tables, as another role,
	// where the first process was killed before it did.
	if got := StartSCF(t, Dispatcher, w.Env).Dispatch(QueryEvent("out_refund_no", "R0")); got.Code != 404 {
		t.Fatalf("a refund that there is not: %+v", got)
	}
	killAtAnyInstant(t, w)
}
