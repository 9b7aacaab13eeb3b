package world

// TimerFaults are what can go wrong with the merchant's timer.
var TimerFaults = []FaultName{
	{"stop", "the timer does not run: what no notification settles stays open until it does, or until reconcile is called by hand"},
}

// TimerRuns tells whether the merchant's timer may run now, which a fault can forbid: once, or
// until it is deleted.
func (w *World) TimerRuns() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.applies(partTimer, TimerFaults[0].Name)
}

// TimerStopped tells whether a fault that stops the timer is in force.
func (w *World) TimerStopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.faults {
		if !f.usedUp(partTimer) {
			return true
		}
	}
	return false
}
