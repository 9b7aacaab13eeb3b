package world

import "slices"

// BillFaults are what can go wrong with a bill.
var BillFaults = []FaultName{
	{"wrong_hash", "the hash that is told is not the file's: nothing of such a bill may be taken up"},
	{"cut_off", "the file ends in the middle of a row: a bill without its sums is none"},
	{"foreign_host", "download_url names a host that is not WeChat Pay's: sign nothing for it"},
	{"old_layout", "the headings are those of older merchants: find columns by their headings, not by their places"},
	{"odd_names", "names of goods hold commas, quotes, back-ticks and JSON: take rows apart at a comma with a back-tick"},
	{"empty_day", "it is said that nothing happened on the day: what was accepted then is missing, and not undone"},
	{"creating", "the bill is not made yet: ask later"},
	{"no_auth", "the merchant may not have bills: say so, and take one that a person has downloaded"},
	{"bad_row", "a row has no amount that can be read: stop that day, name the line, apply nothing of it"},
	{"bad_sums", "the file's sums are not those of its rows: it is not what was issued"},
}

// BillFault returns the fault that a request for a bill suffers, if any, and the error code
// that it is to be refused with. A fault does not apply where a system does not have what it
// is about, which without names: a hash, say.
func (w *World) BillFault(y System, without ...string) (fault, code string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range BillFaults {
		if !slices.Contains(without, f.Name) && w.applies(partBill, f.Name) {
			fault = f.Name
			break
		}
	}
	for _, name := range y.Codes {
		if w.appliesOn(partCode, name, OnBill) {
			return fault, name
		}
	}
	return fault, ""
}
