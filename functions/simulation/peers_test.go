package simulation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// A peer is a refund back end with a rule that another has published, and no worse: it
// verifies every signature and reads every answer with our own channel, refuses what exceeds
// the order by its rows, and does not refund twice what it has a row of.
type peer struct {
	w    *world
	rows *rows
}

// side is one back end of a rule.
func (r rule) side(w *world) side { return &peer{w: w, rows: newRows(r)} }

func (n *peer) close()                           {}
func (n *peer) renumbers() bool                  { return true }
func (n *peer) relay(*call, bool, []byte) []byte { return nil } // it hears by notifications

// tick asks about what is pending, where the rule has that.
func (n *peer) tick(c *call) {
	var numbers []string
	if n.access(c, "", "list", func() { numbers = n.rows.pending() }) != nil || !n.rows.rule.asks {
		return
	}
	slices.Sort(numbers)
	for _, no := range numbers {
		got, err := n.channel(c).Query(c.given, refund.Lookup{OutRefundNo: no})
		if err != nil || len(got.Refunds) != 1 {
			continue
		}
		u := got.Refunds[0]
		_ = n.access(c, no, "write", func() { n.rows.heard(no, u.OutTradeNo, string(u.Status), u.Amount.Refund) }) // the next run asks again
	}
}

func (n *peer) channel(c *call) refund.Channel {
	return n.w.system.wired(keys().of[apiv3].system, &http.Client{Transport: &wire{n.w, func() *call { return c }}})
}

func (n *peer) dispatch(c *call, event []byte) []byte {
	var e struct {
		Type string
		refund.Request
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return failed(err)
	}
	if e.Type != "wxpay_refund" { // the template passes WeChat Pay's answer on
		got, err := n.channel(c).Query(c.given, refund.Lookup{OutRefundNo: e.OutRefundNo})
		if err != nil {
			return failed(err)
		}
		return succeeded(string(got.Refunds[0].Status))
	}
	status, err := n.refund(c, e.Request)
	if errors.Is(err, errPending) { // which no client repeats
		return fmt.Appendf(nil, `{"code":202,"retry":"never","msg":%q}`, err)
	}
	if err != nil {
		return failed(err)
	}
	return succeeded(status)
}

func failed(err error) []byte { return fmt.Appendf(nil, `{"code":-1,"msg":%q}`, err) }

func succeeded(status string) []byte {
	return fmt.Appendf(nil, `{"code":0,"data":{"status":%q}}`, status)
}

func (n *peer) refund(c *call, req refund.Request) (string, error) {
	return n.rows.refund(req,
		func() (refund.Refund, error) { return n.channel(c).Refund(c.given, req) },
		func(verb string, do func()) error { return n.access(c, req.OutRefundNo, verb, do) },
	)
}

func (n *peer) access(c *call, no, verb string, do func()) error {
	return c.store(c.ctx, no, verb, func(context.Context) error { do(); return nil })
}

// notification verifies, acknowledges, and then goes to work.
func (n *peer) notification(c *call, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = ring().Verify(r.Context(), r.Header, body)
	}
	if err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	l, err := read(keys().secret, body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, _ = io.WriteString(w, `{"code":"SUCCESS","message":"成功"}`)
	n.w.spawn(func() {
		after := n.w.begin(c.name+" afterwards", 10*time.Second)
		defer after.cancel()
		if after.crashed() {
			return
		}
		_ = n.access(after, l.OutRefundNo, "write", func() { n.rows.notified(l) }) // an error has nobody to go to
	})
}

func read(secret wxpay.APIv3Key, body []byte) (wxpay.RefundNotification, error) {
	note, err := wxpay.ParseNotification(body)
	if err != nil {
		return wxpay.RefundNotification{}, err
	}
	plain, err := secret.Open(note.Resource)
	if err != nil {
		return wxpay.RefundNotification{}, err
	}
	return wxpay.ParseRefundNotification(plain)
}

func (n *peer) books() map[string]entry {
	n.rows.mu.Lock()
	defer n.rows.mu.Unlock()
	out := map[string]entry{}
	for no, r := range n.rows.all {
		status := r.status
		if status == rowFailed {
			status = "REJECTED"
		}
		out[no] = entry{status, r.fen}
	}
	for _, times := range n.rows.effects {
		n.w.count("effects more than once", int64(times-1))
	}
	return out
}
