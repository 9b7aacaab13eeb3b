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
	if err := json.Unmarshal(it.Body, &next); !v.judge("harness: applications can be read", err == nil, "%s: %v", it.Key, err) {
		return
	}
	v.judge("I8 no application keeps a card", !strings.Contains(string(it.Body), cardNumber) && !strings.Contains(string(it.Body), cardHolder), "%s holds one", it.Key)
	v.mu.Lock()
	defer v.mu.Unlock()
	before := v.applied[next.ID]
	v.applied[next.ID] = next
	want := "application_" + strings.ToLower(next.State)
	v.judge("I11 an application is listed where its record says", it.Class == want && it.At.UnixMilli() == next.CreatedAt.UnixMilli(),
		"%s is listed as %s of %v, want %s of %v", it.Key, it.Class, it.At, want, next.CreatedAt)
	moves := map[string][]string{
		"":         {"PENDING", "APPROVED"},
		"PENDING":  {"APPROVED", "REJECTED", "WITHDRAWN", "EXPIRED"},
		"APPROVED": {"REFUNDED", "REJECTED"}, // taken back, where it has led to nothing
	}
	if next.State != before.State {
		v.w.logf(c.name, "DECIDES %s: %q -> %s", next.ID, before.State, next.State)
		v.judge("I4 an application moves forward", slices.Contains(moves[before.State], next.State), "%s moves from %q to %s", next.ID, before.State, next.State)
	}
	fresh := v.notices(next.ID, next.Notices)
	if next.State != before.State {
		v.judge("I6 a decision is owed to every subscriber", fresh >= len(v.w.history.Subscribers), "%s is owed to %d (%s)", next.ID, fresh, c.name)
	}
}

// reserved takes in the item of a number that waits for approval, and is no refund.
func (v *invariants) reserved(no string, next refundRow) {
	_, claimed := v.row(no)
	v.judge("W4 a number that waits has no refund", next.Proposed != "" && !claimed, "%s: %+v", no, next)
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
	judge := func(rule string, ok bool) {
		v.judge(rule, ok, "in the end application %s is %s, WeChat Pay has %q and the ledger %q since %v", t.ApplicationID, t.State, status, row.State, ago)
	}
	live := status != "" && status != "CLOSED"
	switch t.State {
	case "REFUNDED":
		judge("W4 what is called refunded is", status == "SUCCESS")
	case "APPROVED":
		noted := row.State != "success" || row.Foreign || row.Taken || ago <= 5*time.Hour
		judge("W4 that an approved refund has succeeded is noted", noted)
		open := slices.Contains([]string{"claimed", "processing", "abnormal"}, row.State) // of those, I3 and I10 tell
		waits := row.State == "" && time.Since(t.DecidedAt) < 27*time.Hour                // for another refund of the order
		judge("W4 what is approved is refunded, or somebody knows", live || open || alarmed || waits)
	case "PENDING":
		judge("W4 nothing waits longer than a week", time.Since(t.CreatedAt) <= 7*24*time.Hour+2*time.Hour)
	}
	if slices.Contains([]string{"REJECTED", "WITHDRAWN", "EXPIRED", "PENDING"}, t.State) {
		judge("W4 what nobody approved is not refunded", !live || w.named(t.OutRefundNo) || strings.HasPrefix(t.ApplicationID, "P"))
	}
}

// crashPoints are where a process dies that decides, and where an instance of a history does
// then: [TestApplications] wants each to have been met, and of those while an abnormal refund
// is finished, which few histories come to, [TestFixedShops].
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
	all, channels := figures{}, []figures(nil)
	for _, name := range append([]string{apiv3}, others()...) {
		if !flags.on(name) || flags.seed != 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			us, _, _ := trial{histories: size(flags.histories, 400, 10, 15), atMost: patience(10 * time.Second), draw: withShop(name), flag: " -shop"}.run(t)
			t.Log(us)
			for _, name := range us.prefixed("abnormal", "applications", "decisions", "answers", "crash ", "alarm approved", "refunds") {
				t.Logf("%6d %s", us[name], name)
			}
			for point, where := range crashPoints() {
				if us["histories"] >= 400 && us["crash "+where] == 0 && !strings.HasPrefix(point, "finish.") {
					t.Errorf("in %d histories nobody has died at %s", us["histories"], point)
				}
			}
			all.add(us)
			channels = append(channels, us)
		})
	}
	looked(t, channels, onlyWithShops, 60)
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
		all["histories"], len(channels), all["refunds"], all[unlawful], all["applications"], all[twice], all["histories"], all["phantom fen"],
		all.sum("decisions"), all["answers wxpay_refund 202"], denied,
		all["crash after approve"]+all["crash after apply at once"]+all["crash after application taken"]+all["crash before claim"],
		all["alarm approved_unrefunded"], all["abnormal refunds sent elsewhere"])
}
