package world

// DatabaseFaults are what can go wrong with a call of the environment's database, which is
// there if the sandbox was given one.
var DatabaseFaults = []FaultName{
	{"lost_before", "the connection breaks, and nothing was done: whether it was cannot be seen"},
	{"lost_after", "the connection breaks, and it was done: a repeat must know its own work"},
	{"hang", "no answer comes, and nothing was done: bound every wait"},
	{"hang_after", "no answer comes, and it was done: a timeout is no refusal"},
	{"exec_error", "DATABASE_EXEC_ERROR, as the real one says now and then, and nothing was done"},
	{"exec_error_after", "DATABASE_EXEC_ERROR, and it was done: nobody documents that it never is"},
	{"500", "INTERNAL_ERROR, and nothing was done"},
	{"500_after", "INTERNAL_ERROR, and it was done"},
	{"429", "too many requests: nothing was done, ask again a little later"},
	{"401", "the key is not of this environment: no repeat mends that"},
	{"403", "the key is no administrator's: the same"},
	{"object", "status 200 and an error in it: rows are an array, everything else is none"},
}

// DatabaseFault returns the fault that a call of the database suffers; "": none.
func (w *World) DatabaseFault() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range DatabaseFaults {
		if w.applies(partDatabase, f.Name) {
			return f.Name
		}
	}
	return ""
}
