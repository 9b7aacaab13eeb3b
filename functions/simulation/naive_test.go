package simulation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// naive is a refund back end as published templates have it, and no worse: it
// verifies every signature and reads every answer with our own channel, refuses
// what exceeds the order by its rows, and does not refund twice what it has a
// row of. What it lacks is what such templates lack: it writes the row after the
// call, it calls a lost answer a failure, it acknowledges a notification and stores it
// then, the last word wins, and nobody asks afterwards.
type naive struct {
	w     *world
	table *table
}

func buildNaive(w *world) side { return &naive{w: w, table: newTable()} }

func (n *naive) close()                           {}
func (n *naive) renumbers() bool                  { return true }
func (n *naive) tick(*call)                       {}
func (n *naive) relay(*call, bool, []byte) []byte { return nil } // it hears by notifications

func (n *naive) channel(c *call) refund.Channel {
	return n.w.system.wired(keys().of[apiv3].system, &http.Client{Transport: &wire{n.w, func() *call { return c }}})
}

func (n *naive) dispatch(c *call, event []byte) []byte {
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
	if err != nil {
		return failed(err)
	}
	return succeeded(status)
}

func failed(err error) []byte { return fmt.Appendf(nil, `{"code":-1,"msg":%q}`, err) }

func succeeded(status string) []byte {
	return fmt.Appendf(nil, `{"code":0,"data":{"status":%q}}`, status)
}

func (n *naive) refund(c *call, req refund.Request) (string, error) {
	return n.table.refund(req,
		func() (refund.Refund, error) { return n.channel(c).Refund(c.given, req) },
		func(verb string, do func()) error { return n.access(c, req.OutRefundNo, verb, do) },
	)
}

func (n *naive) access(c *call, no, verb string, do func()) error {
	return c.store(c.ctx, no, verb, func(context.Context) error { do(); return nil })
}

// notification verifies, acknowledges, and then goes to work.
func (n *naive) notification(c *call, w http.ResponseWriter, r *http.Request) {
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
		_ = n.access(after, l.OutRefundNo, "write", func() { n.table.notified(l) }) // an error has nobody to go to
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

func (n *naive) books() map[string]entry {
	n.table.mu.Lock()
	defer n.table.mu.Unlock()
	out := map[string]entry{}
	for no, r := range n.table.rows {
		out[no] = entry{r.status, r.fen}
	}
	for _, times := range n.table.effects {
		n.w.count("effects more than once", int64(times-1))
	}
	return out
}
