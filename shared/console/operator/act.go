package operator

import (
	"context"
	"errors"
	"net/http"
	"time"

	"wxrefund/shared/console"
	"wxrefund/shared/refund"
	"wxrefund/shared/strictjson"
)

// An order to act is what the page sends when the operator has decided. Its texts are
// those of the form.
type decision struct {
	no      string // of the refund, or the application
	Confirm string // typed by the operator: see each action
	To      string // to redeliver: the subscriber; "": each
	About   string // to acknowledge
	Code    string
	Note    string
	Absent  bool // to release: this person has seen that WeChat Pay has no such refund
}

// actTime bounds what an operator's decision may take. It is carried out to its end also
// if the browser goes meanwhile.
const actTime = time.Minute

// act is a door through which something is changed: only if the operator may act, and with
// what must be typed in order to confirm it, which the action says.
func (c *Console) act(do func(context.Context, decision) (any, error)) func(*http.Request, []byte) (any, error) {
	return func(r *http.Request, body []byte) (any, error) {
		if !c.cfg.Act {
			return nil, &console.Refusal{Status: http.StatusForbidden, Text: "this console only shows: start it with -yes to act"}
		}
		d, err := readDecision(body)
		if err != nil {
			return nil, err
		}
		d.no = r.PathValue("no")
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), actTime)
		defer cancel()
		if err := c.cfg.Refunds.CheckClock(ctx); err != nil {
			return nil, err
		}
		return do(ctx, d)
	}
}

// maxNote bounds a text that an operator has written, in bytes.
const maxNote = 500

func readDecision(body []byte) (d decision, err error) {
	bad := func(text string) error { return &console.Refusal{Status: http.StatusBadRequest, Text: text} }
	v, err := strictjson.Read(body)
	if err != nil || !v.IsObject() {
		return d, bad("the body must be one JSON object")
	}
	texts := map[string]*string{"confirm": &d.Confirm, "to": &d.To, "about": &d.About, "code": &d.Code, "note": &d.Note}
	seen := map[string]bool{}
	for name, v := range v.Members() {
		if seen[name] {
			return d, bad("/" + name + " is there twice")
		}
		seen[name] = true
		text, ok := v.Text()
		field, known := texts[name]
		switch {
		case name == "absent":
			d.Absent, ok = text == "true", ok && (text == "true" || text == "")
		case !known:
			return d, bad("/" + name + " is not known here")
		case ok:
			*field = text
		}
		if !ok || len(text) > maxNote {
			return d, bad("/" + name + " must be a text of at most 500 bytes")
		}
	}
	return d, nil
}

// confirmed wants that the operator has typed a word.
func (d decision) confirmed(word string) error {
	if d.Confirm != word || word == "" {
		return &console.Refusal{Status: http.StatusConflict, Text: "nothing was done: what was typed is not " + word}
	}
	return nil
}

func (c *Console) caller() refund.Caller {
	return refund.Caller{Kind: refund.Operator, Name: c.cfg.Operator}
}

// done is the answer to what needs no other.
func done(err error) (any, error) { return map[string]bool{"done": true}, err }

// query asks WeChat Pay about a refund and writes down what it says.
func (c *Console) query(ctx context.Context, d decision) (any, error) {
	if err := d.confirmed(d.no); err != nil {
		return nil, err
	}
	_, err := c.cfg.Refunds.QueryRefund(ctx, c.caller(), refund.Lookup{OutRefundNo: d.no})
	if e, ok := errors.AsType[*refund.Error](err); ok && refund.IsCode(e.Err, refund.CodeNotFound) {
		if in, failed := c.inspect(ctx, d.no); failed == nil && in.InDoubt {
			return nil, &console.Refusal{Status: http.StatusNotFound, Text: "WeChat Pay holds no refund of this number: it is in doubt here alone, and release may end it from " + stamp(in.ReleasableAt) + " on"}
		}
	}
	return done(err)
}

func (c *Console) cancel(ctx context.Context, d decision) (any, error) {
	if err := d.confirmed(d.no); err != nil {
		return nil, err
	}
	return done(c.cfg.Refunds.Cancel(ctx, d.no, c.caller().Identity()))
}

func (c *Console) release(ctx context.Context, d decision) (any, error) {
	if err := d.confirmed(d.no); err != nil {
		return nil, err
	}
	return done(c.cfg.Refunds.Release(ctx, refund.Release{OutRefundNo: d.no, By: c.caller().Identity(), ConfirmedAbsent: d.Absent}))
}

func (c *Console) redeliver(ctx context.Context, d decision) (any, error) {
	if err := d.confirmed(d.no); err != nil {
		return nil, err
	}
	n, err := c.cfg.Refunds.Redeliver(ctx, d.no, d.To, c.caller().Identity())
	if err != nil {
		return nil, err
	}
	return map[string]int{"due": n, "delivered": c.cfg.Refunds.Deliver(ctx, d.no)}, nil
}

func (c *Console) acknowledge(ctx context.Context, d decision) (any, error) {
	if err := d.confirmed(d.Code); err != nil {
		return nil, err
	}
	return done(c.cfg.Refunds.Acknowledge(ctx, d.About, d.Code, c.caller().Identity(), d.Note))
}

// wordReconcile is what is typed in order to run the reconciler.
const wordReconcile = "reconcile"

func (c *Console) reconcile(ctx context.Context, d decision) (any, error) {
	if err := d.confirmed(wordReconcile); err != nil {
		return nil, err
	}
	return c.cfg.Refunds.Reconcile(ctx)
}
