//go:build heavy

package ledger

import "testing"

// heavyConformance is what takes long: several processes, and those that are killed.
func heavyConformance() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"TestKilledCopyGoesOn":                       TestKilledCopyGoesOn,
		"TestProcessesSharingALedgerLoseNothing":     TestProcessesSharingALedgerLoseNothing,
		"TestProcessesMayOpenAFreshLedgerAtOnce":     TestProcessesMayOpenAFreshLedgerAtOnce,
		"TestOneOfTwoProcessesGetsAnOrder":           TestOneOfTwoProcessesGetsAnOrder,
		"TestKilledProcessLosesNoAcknowledgedCommit": TestKilledProcessLosesNoAcknowledgedCommit,
	}
}
