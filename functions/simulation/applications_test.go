package simulation_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

const applicationPrefix = "application/"

// An applicationRow is what the invariants read of an application in the ledger.
type applicationRow struct {
	ID       string
	State    string
	Proposed bool
	Auto     bool
	Looks    int
	Numbers  int
	Request  struct {
		OutRefundNo string `json:"out_refund_no"`
	}
	CreatedAt time.Time `json:"created_at"`
	Notices   notices
}

// applicationKind names what a commit of an application is for, so that crashes can be
// counted by it.
func (v *invariants) applicationKind(it refund.Item) string {
	var next applicationRow
	_ = json.Unmarshal(it.Body, &next) // [invariants.decided] says it
	v.mu.Lock()
	before := v.applied[next.ID]
	v.mu.Unlock()
	switch {
	case before.State == "" && next.Proposed:
		return "propose"
	case before.State == "" && next.Auto:
		return "apply at once"
	case before.State == "":
		return "apply"
	case next.Numbers > before.Numbers:
		return "approve"
	case next.State != before.State:
		return strings.ToLower(next.State)
	case next.Looks > before.Looks:
		return "application taken"
	}
	return "application"
}

// decided checks one step of an application: how it is listed (I11), that it goes forward (I4),
// and who is told (I6).
func (v *invariants) decided(c *call, it refund.Item) {
	var next applicationRow
	if err := json.Unmarshal(it.Body, &next); err != nil {
		v.violates("harness", "%s cannot be read: %v", it.Key, err)
		return
	}
	if strings.Contains(string(it.Body), cardNumber) || strings.Contains(string(it.Body), cardHolder) {
		v.violates("I8", "%s holds a card", it.Key)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	before := v.applied[next.ID]
	v.applied[next.ID] = next
	if want := "application_" + strings.ToLower(next.State); it.Class != want || it.At.UnixMilli() != next.CreatedAt.UnixMilli() {
		v.violates("I11", "%s is listed as %s of %v, want %s of %v", it.Key, it.Class, it.At, want, next.CreatedAt)
	}
	moves := map[string][]string{
		"":         {"PENDING", "APPROVED"},
		"PENDING":  {"APPROVED", "REJECTED", "WITHDRAWN", "EXPIRED"},
		"APPROVED": {"REFUNDED", "REJECTED"}, // taken back, where it has led to nothing
	}
	if next.State != before.State {
		v.w.logf(c.name, "DECIDES %s: %q -> %s", next.ID, before.State, next.State)
		if !slices.Contains(moves[before.State], next.State) {
			v.violates("I4", "application %s moves from %q to %s", next.ID, before.State, next.State)
		}
	}
	wrong := func(what string) { v.violates("I6", "%s: %s (%s)", next.ID, what, c.name) }
	fresh := v.notices(next.ID, next.Notices, wrong)
	if want := len(v.w.history.Subscribers); next.State != before.State && fresh < want {
		wrong("it moves and is owed to too few")
	}
}

// claimedNumbers are all numbers under which anything was ever claimed.
func (v *invariants) claimedNumbers() (all []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for no := range v.rows {
		all = append(all, no)
	}
	return all
}

// ends checks how an application stands in the end, whose refund WeChat Pay has in that
// status, "" if there is none: what was approved is refunded or a person knows why not, and
// what was not is not refunded (W4).
func (w *world) ends(t told, status string) {
	v := w.invariants
	v.mu.Lock()
	row := v.rows[t.OutRefundNo]
	alarmed := slices.Contains(v.of(t.ApplicationID).kinds, "approved_unrefunded")
	ago := time.Since(w.start) - v.since[t.OutRefundNo]
	v.mu.Unlock()
	wrong := func(format string, args ...any) {
		v.violates("W4", "in the end application %s is %s, WeChat Pay has %q and the ledger %q: "+format, append([]any{t.ApplicationID, t.State, status, row.State}, args...)...)
	}
	live := status != "" && status != "CLOSED"
	if age := time.Since(t.CreatedAt); t.State == "PENDING" && age > 7*24*time.Hour+2*time.Hour {
		wrong("it has waited for %v", age)
	}
	switch t.State {
	case "REFUNDED":
		if status != "SUCCESS" {
			wrong("it is not refunded")
		}
	case "APPROVED":
		switch {
		case row.State == "success" && !row.Foreign && !row.Taken && ago > 5*time.Hour:
			wrong("its refund has succeeded %v ago", ago)
		case !live && !slices.Contains([]string{"claimed", "processing", "abnormal"}, row.State) && !alarmed: // of those, I3 and I10 tell
			wrong("it was approved, is not refunded, and nobody knows")
		}
	case "REJECTED", "WITHDRAWN", "EXPIRED", "PENDING":
		if live && !w.named(t.OutRefundNo) && !strings.HasPrefix(t.ApplicationID, "P") {
			wrong("it is refunded")
		}
	}
}

// crashPoints are where a process dies that decides, and where an instance of a history does
// then: [TestApplications] wants each to have been met.
func crashPoints() map[string]string {
	return map[string]string{
		"order.asked": "after order", "apply.before": "before apply at once", "apply.after": "after apply at once",
		"approve.before": "before approve", "approve.after": "after approve", "propose.before": "before propose",
		"application.taken": "after application taken", "finish.after": "before finish", "finish.called": "after finish",
	}
}

// Buyers apply, operators decide, and both do what they should not, while everything goes
// wrong that goes wrong otherwise.
func TestApplications(t *testing.T) {
	all, channels := figures{}, 0
	for _, name := range append([]string{apiv3}, others()...) {
		if !flags.on(name) || flags.seed != 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			us, _, took := trial{histories: size(flags.histories, 400, 10, 15), atMost: patience(10 * time.Second), draw: withShop(name), flag: " -shop"}.run(t)
			t.Logf("%v in %v", us, took.Round(time.Millisecond))
			for _, name := range us.prefixed("abnormal", "applications", "decisions", "answers", "crash ", "alarm approved", "refunds") {
				t.Logf("%6d %s", us[name], name)
			}
			for point, where := range crashPoints() {
				if us["histories"] >= 400 && us["crash "+where] == 0 && (name == apiv3 || !strings.HasPrefix(point, "finish.")) {
					t.Errorf("in %d histories nobody has died at %s", us["histories"], point)
				}
			}
			all.add(us)
			channels++
		})
	}
	denied := int64(0)
	for _, name := range all.prefixed("answers") {
		if strings.HasSuffix(name, " 403") {
			denied += all[name]
		}
	}
	t.Logf("%d histories on %d systems\n\n| figure | trials | |\n|---|---|---|\n"+
		"| refunds that no rule allows | %d refunds | %d |\n| applications refunded twice | %d applications | %d |\n| phantom fen | %d histories | %d |\n"+
		"| decisions that were answered | | %d |\n| large refunds that were proposed instead | | %d |\n| calls that were denied | | %d |\n"+
		"| crashes between a decision and its claim | | %d |\n| approved, not refunded, and an alarm | | %d |\n| abnormal refunds sent elsewhere | | %d |\n",
		all["histories"], channels, all["refunds"], all[unlawful], all["applications"], all[twice], all["histories"], all["phantom fen"],
		all.sum("decisions"), all["answers wxpay_refund 202"], denied,
		all["crash after approve"]+all["crash after apply at once"]+all["crash after application taken"]+all["crash before claim"],
		all["alarm approved_unrefunded"], all["abnormal refunds sent elsewhere"])
}
