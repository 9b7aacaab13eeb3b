package exhaust

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A Mutation takes one rule out of the protocol: wherever the anchor stands in a file, once,
// the replacement stands, which asks whether it is this mutation's turn. All are built into
// one program that way.
type Mutation struct {
	Name    string // the rule that is missing
	File    string // within the repository
	Anchor  string
	Replace string // "MUTATED" is true if the rule is to be missing
}

const (
	claimGo      = "shared/refund/claim.go"
	settleGo     = "shared/refund/settle.go"
	doubtGo      = "shared/refund/doubt.go"
	orderGo      = "shared/refund/order.go"
	stateGo      = "shared/refund/state.go"
	identityGo   = "shared/refund/identity.go"
	outboxGo     = "shared/refund/outbox.go"
	deliveryGo   = "shared/refund/delivery.go"
	approvalGo   = "shared/refund/approval.go"
	decideGo     = "shared/refund/decide.go"
	billRowsGo   = "shared/refund/bill_rows.go"
	billSettleGo = "shared/refund/bill_settle.go"
	memoryGo     = "functions/simulation/exhaust/memory.go"
)

// Mutations are the rules that are taken out, one at a time.
func Mutations() []Mutation {
	return []Mutation{
		{"a refund is claimed before it is sent", claimGo, "\t\t\terr = s.write(ctx, tx, items)\n", "\t\t\tif !MUTATED {\n\t\t\t\terr = s.write(ctx, tx, items)\n\t\t\t}\n"},
		{"no answer is no refusal", settleGo, "\tcertain := out.Err.Code != CodeUnavailable || out.Err.Unsent\n",
			"\tif MUTATED && out.Err.Code == CodeUnavailable {\n\t\te := *out.Err\n\t\te.Code, e.Next = CodeRejected, LaterOrFix\n\t\tout.Err = &e\n\t}\n\tcertain := out.Err.Code != CodeUnavailable || out.Err.Unsent\n"},
		{"a refusal rejects only if no other submission is open", settleGo, "if rec.State != Claimed || len(rec.Open) > 0 {", "if rec.State != Claimed || len(rec.Open) > 0 && !MUTATED {"},
		{"a refusal speaks for its own submission alone", settleGo, "\t\trec.closeSubmission(out.submission)\n", "\t\trec.closeSubmission(out.submission)\n\t\tif MUTATED {\n\t\t\trec.Open = nil\n\t\t}\n"},
		{"a refusal that was overtaken counts for nothing", settleGo, "if out.Source != Reply || !slices.Contains(rec.Open, out.submission) {", "if MUTATED {\n\t\trec.State, rec.Open = Claimed, nil\n\t} else if out.Source != Reply || !slices.Contains(rec.Open, out.submission) {"},
		{"late word moves nothing back", stateGo, "\t\t\tif fresh {", "\t\t\tif fresh || MUTATED {"},
		{"an answer is fresh only if nothing has moved since the question", settleGo, "out.revision == tx.rec.Revision && !(out.listed", "(MUTATED || out.revision == tx.rec.Revision) && !(out.listed"},
		{"a refund under our number is ours only if its order is", identityGo, "return agree || !known", "return agree || !known || MUTATED"},
		{"a refund under our number is ours only if its amount is", identityGo, "if reported.Amount.Refund != 0 && reported.Amount.Refund != r.Amount.Refund {", "if !MUTATED && reported.Amount.Refund != 0 && reported.Amount.Refund != r.Amount.Refund {"},
		{"a claim reserves its amount", claimGo, "\ttx.reserve(req.Amount.Refund, true)\n\treturn tx.startSubmission", "\tif !MUTATED {\n\t\ttx.reserve(req.Amount.Refund, true)\n\t}\n\treturn tx.startSubmission"},
		{"a refund fits into what is left of its order", orderGo, "case amount.Refund > left:", "case amount.Refund > left && !MUTATED:"},
		{"what is claimed by the order's second number counts", orderGo, "\t\tleft -= m.Held\n", "\t\tif !MUTATED {\n\t\t\tleft -= m.Held\n\t\t}\n"},
		{"the total is WeChat Pay's word and not the caller's", orderGo, "case a.Confirmed && a.Total != amount.Total:", "case a.Confirmed && a.Total != amount.Total && !MUTATED:"},
		{"what is rejected reserves nothing", settleGo, "\trec.Revision++\n\ttx.reserve(0, false)\n\tif refusal.notEnough()", "\trec.Revision++\n\tif !MUTATED {\n\t\ttx.reserve(0, false)\n\t}\n\tif refusal.notEnough()"},
		{"a repeat is identical", claimGo, "\tfield := difference(rec.Request, req)\n", "\tfield := difference(rec.Request, req)\n\tif MUTATED {\n\t\trec.Request, field = req, \"\"\n\t}\n"},
		{"nobody releases while a request may be on its way", doubtGo, "asked.Before(from) && !known.waits() {", "asked.Before(from) && !known.waits() && !MUTATED {"},
		{"a person's release asks WeChat Pay first", doubtGo, "\tst, err := s.ask(ctx, r.OutRefundNo, known.Revision, by)\n", "\tst, err := Settlement{}, error(notFound(\"not asked\"))\n\tif !MUTATED {\n\t\tst, err = s.ask(ctx, r.OutRefundNo, known.Revision, by)\n\t}\n"},
		{"one 'not found' frees nothing", doubtGo, "\treturn r.NotFound >= minNotFound &&", "\treturn MUTATED || r.NotFound >= minNotFound &&"},
		{"a process that stood still does not send", claimGo, "if time.Now().Round(0).Sub(rec.begun) > submitWithin {", "if !MUTATED && time.Now().Round(0).Sub(rec.begun) > submitWithin {"},
		{"what was withdrawn is not sent again", doubtGo, "\tcase tx.rec.Cancelled:\n\t\treturn", "\tcase tx.rec.Cancelled && !MUTATED:\n\t\treturn"},
		{"nothing is sent again beside a refund by hand", doubtGo, "\tcase tx.externalRefunds() > tx.rec.ExternalRefunds:", "\tcase tx.externalRefunds() > tx.rec.ExternalRefunds && !MUTATED:"},
		{"a notification is acknowledged only once it is settled", deliveryGo, "\tst, err := s.Settle(ctx, out)\n\tif err == nil && st.Owes {", "\tst, err := s.Settle(ctx, out)\n\tif MUTATED {\n\t\terr = nil\n\t}\n\tif err == nil && st.Owes {"},
		{"the event is written with the state", settleGo, "\tif st.Changed {\n\t\ttx.alarm(alarmOverflow", "\tif st.Changed && !MUTATED {\n\t\ttx.alarm(alarmOverflow"},
		{"a delivery is leased", outboxGo, "if d.Lease.After(d.Next) && d.Lease.Sub(now) <= lease+clockSkew {", "if !MUTATED && d.Lease.After(d.Next) && d.Lease.Sub(now) <= lease+clockSkew {"},
		{"what was delivered is taken out", outboxGo, "func(e outboxEntry, d delivery) bool { return e.ID == id && d.To == to }", "func(e outboxEntry, d delivery) bool { return e.ID == id && d.To == to && !MUTATED }"},
		{"who has applied does not approve", decideGo, "\t\tif a.maybeOf(caller) {\n\t\t\treturn denied(\"who has applied for this refund cannot approve it\")", "\t\tif a.ofCaller(caller) && !MUTATED {\n\t\t\treturn denied(\"who has applied for this refund cannot approve it\")"},
		{"an approval is bound to its refund", approvalGo, "\tcase a.otherThanProposed(req) != nil:", "\tcase MUTATED:\n\t\ttx.decided = a.State == ApplicationApproved\n\t\treturn nil\n\tcase a.otherThanProposed(req) != nil:"},
		{"one person refunds only so much alone", claimGo, "} else if tx.needsApproval(", "} else if !MUTATED && tx.needsApproval("},
		{"a row of a bill enters the ledger", billRowsGo, "\tout := row.outcome()\n", "\tif MUTATED {\n\t\treturn st, &record{}, nil\n\t}\n\tout := row.outcome()\n"},
		{"a row of a bill is no word on how a refund ends", billSettleGo, "Status: StatusProcessing,", "Status: map[bool]Status{false: StatusProcessing, true: StatusSuccess}[MUTATED],"},
		{"a commit is over the version that was read", memoryGo, "if m[it.Key].Version != it.Version {", "if m[it.Key].Version != it.Version && !MUTATED {"},
	}
}

// hook is the file that says whose turn it is.
const hook = `package refund

import "os"

// Mutated reports whether a rule is to be missing.
func Mutated(rule string) bool { return os.Getenv("MUTATION") == rule }
`

// Sources are the files with all mutations in them, by their names within the repository.
// An anchor that does not stand in its file exactly once is an error.
func Sources(root string) (map[string]string, error) {
	files := map[string]string{"shared/refund/mutated.go": hook}
	for _, m := range Mutations() {
		source, ok := files[m.File]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.File)))
			if err != nil {
				return nil, err
			}
			source = string(b)
		}
		if n := strings.Count(source, m.Anchor); n != 1 {
			return nil, fmt.Errorf("%s has %d times what %q begins with, want it once: %s", m.File, n, m.Name, m.Anchor)
		}
		call := fmt.Sprintf("Mutated(%q)", m.Name)
		if m.File == memoryGo {
			call = "refund." + call
		}
		files[m.File] = strings.Replace(source, m.Anchor, strings.ReplaceAll(m.Replace, "MUTATED", call), 1)
	}
	return files, nil
}
