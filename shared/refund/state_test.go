package refund

import (
	"log/slog"
	"testing"
)

// The table of the state machine, row by row, as it was decided: what a late outcome
// does, what a fresh answer does.
func TestStateMachineRowByRow(t *testing.T) {
	want := map[[2]State][2]verdict{
		{unknown, Processing}: {move, move}, {unknown, Abnormal}: {move, move}, {unknown, Success}: {move, move}, {unknown, Closed}: {move, move},
		{Claimed, Processing}: {move, move}, {Claimed, Abnormal}: {move, move}, {Claimed, Success}: {move, move}, {Claimed, Closed}: {move, move},
		{Processing, Processing}: {keep, keep}, {Processing, Abnormal}: {move, move}, {Processing, Success}: {move, move}, {Processing, Closed}: {move, move},
		{Abnormal, Processing}: {keep, move}, {Abnormal, Abnormal}: {keep, keep}, {Abnormal, Success}: {move, move}, {Abnormal, Closed}: {move, move},
		{Success, Processing}: {keep, moveAlarm}, {Success, Abnormal}: {keep, moveAlarm}, {Success, Success}: {keep, keep}, {Success, Closed}: {contradict, moveAlarm},
		{Closed, Processing}: {keep, moveAlarm}, {Closed, Abnormal}: {keep, moveAlarm}, {Closed, Success}: {contradict, moveAlarm}, {Closed, Closed}: {keep, keep},
		{Rejected, Processing}: {moveAlarm, moveAlarm}, {Rejected, Abnormal}: {moveAlarm, moveAlarm}, {Rejected, Success}: {moveAlarm, moveAlarm}, {Rejected, Closed}: {moveAlarm, moveAlarm},
	}
	if got := len(steps()); got != len(want) {
		t.Errorf("%d steps, want %d", got, len(want))
	}
	for k, v := range want {
		if got := transition(k[0], k[1], false); got != v[0] {
			t.Errorf("late %q -> %q: %d, want %d", k[0], k[1], got, v[0])
		}
		if got := transition(k[0], k[1], true); got != v[1] {
			t.Errorf("fresh %q -> %q: %d, want %d", k[0], k[1], got, v[1])
		}
	}
}

func TestTransitionThatIsNoStepIsAContradiction(t *testing.T) {
	if got := transition(Success, Claimed, true); got != contradict {
		t.Errorf("success -> claimed: %d, want contradict", got)
	}
}

func TestStateOfKnowsTheDocumentedStatusesOnly(t *testing.T) {
	for status, want := range map[Status]State{
		StatusProcessing: Processing, StatusSuccess: Success, StatusClosed: Closed, StatusAbnormal: Abnormal,
	} {
		if got, ok := stateOf(status); !ok || got != want {
			t.Errorf("stateOf(%s) = %q, %v; want %q", status, got, ok, want)
		}
	}
	for _, status := range []Status{"", "success", "REFUND", "CHANGE"} {
		if got, ok := stateOf(status); ok {
			t.Errorf("stateOf(%q) = %q, want none", status, got)
		}
	}
}

// The log has the plain words; what is stored stays readable to earlier versions.
func TestLogCallsANotificationSo(t *testing.T) {
	for source, want := range map[Source][2]string{
		Notification: {"notification", `"letter"`}, Reply: {"reply", `"reply"`}, Query: {"query", `"query"`}, Relay: {"relay", `"relay"`},
	} {
		if got := [2]string{slog.AnyValue(source).Resolve().String(), string(encode(source))}; got != want {
			t.Errorf("%q: logged and stored as %v, want %v", string(source), got, want)
		}
	}
}

func TestFinalAndReservingStates(t *testing.T) {
	for s, want := range map[State][2]bool{
		unknown: {false, false}, Claimed: {false, true}, Processing: {false, true}, Abnormal: {false, true},
		Success: {true, true}, Closed: {true, false}, Rejected: {false, false},
	} {
		if got := [2]bool{s.Final(), s.reserves()}; got != want {
			t.Errorf("%q: final, holds = %v, want %v", s, got, want)
		}
	}
}
