package control

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
)

const (
	// maxAdvance bounds how far the clock is moved at a time.
	maxAdvance = 10 * 365 * 24 * time.Hour

	// lastYear is the one that it is not moved beyond. JSON's times end with the year 9999,
	// and neither side could write anything down behind that.
	lastYear = 9000
)

// read holds a body against its form.
func read(form schema.Schema, body []byte, v any) error {
	bad := form.Read(body, v)
	switch {
	case bad == nil:
		return nil
	case bad.OfBody():
		return errBody(body)
	}
	return errors.New(bad.English())
}

// errBody says why a body is not one JSON object.
func errBody(body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return errors.New("a body is needed: a JSON object")
	}
	if _, err := schema.Parse(body); err != nil {
		return errors.New("the body cannot be read: " + strings.TrimPrefix(err.Error(), "strictjson: "))
	}
	return errors.New("the body must be one JSON object, in braces")
}

// nothing holds a body against the form of who takes none: {} is as good as no body.
func nothing(body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	return read(nil, body, &struct{}{})
}

func (d *Door) getEnv(r *http.Request, _ []byte) (any, error) {
	channel := r.URL.Query().Get("channel")
	if channel == "" {
		channel = "apiv3"
	}
	return d.cfg.Env(channel)
}

// getCredentials returns all, or of ?only one as text: a certificate is a file then.
func (d *Door) getCredentials(r *http.Request, _ []byte) (any, error) {
	c, err := d.world.Credentials()
	all := struct {
		world.Credentials
		WebhookSecret string `json:"webhook_secret,omitempty"`
	}{c, d.cfg.WebhookSecret}
	if err != nil || !r.URL.Query().Has("only") {
		return all, err
	}
	b, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	var values map[string]any
	if err := json.Unmarshal(b, &values); err != nil {
		return nil, err
	}
	only := r.URL.Query().Get("only")
	text, ok := values[only].(string)
	if !ok {
		return nil, fmt.Errorf("?only must be one of %s", strings.Join(slices.Sorted(maps.Keys(values)), ", "))
	}
	return text, nil
}

func (d *Door) postOrder(_ *http.Request, body []byte) (any, error) {
	var in world.Order
	if err := read(orderForm, body, &in); err != nil {
		return nil, err
	}
	return d.world.Pay(in)
}

func (d *Door) getRefunds(*http.Request, []byte) (any, error) {
	return map[string]any{"refunds": d.world.Refunds()}, nil
}

// postRefundByHand makes a refund as on the merchant platform. The amount may
// be a number, or an object like APIv3's.
func (d *Door) postRefundByHand(_ *http.Request, body []byte) (any, error) {
	var in struct {
		world.Application
		Amount       json.RawMessage `json:"amount"`
		Notification string          `json:"notification"` // the kind of notifications about it
	}
	form := handForm
	if json.Unmarshal(body, &in) == nil && bytes.HasPrefix(in.Amount, []byte("{")) {
		form = handFormLong
	}
	if err := read(form, body, &in); err != nil {
		return nil, err
	}
	a := in.Application
	if d.cfg.Channel == "cloudpay" { // where the merchant is one whom a service provider serves
		a.SubMchID = world.SubMchID
	}
	amount := any(&a.Amount.Refund)
	if bytes.HasPrefix(in.Amount, []byte("{")) {
		amount = &a.Amount
	}
	if err := json.Unmarshal(in.Amount, amount); err != nil {
		return nil, err
	}
	return d.world.ApplyByHand(a, cmp.Or(in.Notification, world.NotificationV3))
}

func (d *Door) postSettle(r *http.Request, body []byte) (any, error) {
	var in struct {
		Status string `json:"status"`
	}
	if err := read(settleForm, body, &in); err != nil {
		return nil, err
	}
	// A notification is not called back.
	return d.world.Settle(context.WithoutCancel(r.Context()), r.PathValue("out_refund_no"), in.Status)
}

func (d *Door) getDeliveries(*http.Request, []byte) (any, error) {
	out := []deliveryObject{}
	for _, d := range d.world.Deliveries() {
		out = append(out, deliver(d))
	}
	return map[string]any{"deliveries": out}, nil
}

func (d *Door) postResend(r *http.Request, body []byte) (any, error) {
	if err := nothing(body); err != nil {
		return nil, err
	}
	out, err := d.world.Resend(context.WithoutCancel(r.Context()), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return deliver(out), nil
}

// A deliveryObject is a delivery in JSON.
type deliveryObject struct {
	ID           string          `json:"id"`
	EventType    string          `json:"event_type"`
	OutRefundNo  string          `json:"out_refund_no"`
	Notification string          `json:"notification"`
	URL          string          `json:"url"`
	State        string          `json:"state"`
	NextAt       *string         `json:"next_at"` // null: it is not sent again, or it is being sent
	Fault        string          `json:"fault,omitempty"`
	Attempts     []world.Attempt `json:"attempts"`
}

func deliver(d world.Delivery) deliveryObject {
	out := deliveryObject{
		ID: d.ID, EventType: d.Event, OutRefundNo: d.OutRefundNo, Notification: d.Notification, URL: d.URL,
		State: d.State, Fault: d.Fault, Attempts: d.Attempts,
	}
	if !d.Next.IsZero() {
		next := world.StampMS(d.Next)
		out.NextAt = &next
	}
	return out
}

// A faultList is the faults in force, and all there could be.
type faultList struct {
	Faults []world.Fault `json:"faults"`
	Known  struct {
		Upstream map[string]string `json:"upstream"` // what a client learns from it
		ErrCode  []string          `json:"err_code"`
		Notify   map[string]string `json:"notify"`
		Timer    map[string]string `json:"timer"`
		Bill     map[string]string `json:"bill"`
		Database map[string]string `json:"database"`
	} `json:"known"`
}

func (d *Door) faults() faultList {
	out := faultList{Faults: d.world.Faults()}
	upstream, notify, codes := d.world.KnownFaults()
	out.Known.Upstream, out.Known.ErrCode, out.Known.Notify = teachings(upstream), codes, teachings(notify)
	out.Known.Timer, out.Known.Bill = teachings(world.TimerFaults), teachings(world.BillFaults)
	out.Known.Database = teachings(world.DatabaseFaults)
	return out
}

func teachings(faults []world.FaultName) map[string]string {
	out := map[string]string{}
	for _, f := range faults {
		out[f.Name] = f.Teaches
	}
	return out
}

func (d *Door) getFaults(*http.Request, []byte) (any, error) { return d.faults(), nil }

func (d *Door) postFault(_ *http.Request, body []byte) (any, error) {
	var in world.Fault
	if err := read(faultForm(d.world), body, &in); err != nil {
		return nil, err
	}
	if in.Upstream == "" && in.ErrCode == "" && in.Notify == "" && in.Timer == "" && in.Bill == "" && in.Database == "" {
		return nil, errors.New("one of /upstream, /err_code, /notify, /timer, /bill and /database is needed")
	}
	return d.world.AddFault(in)
}

func (d *Door) deleteFaults(_ *http.Request, body []byte) (any, error) {
	if err := nothing(body); err != nil {
		return nil, err
	}
	d.world.DeleteFaults()
	return d.faults(), nil
}

func (d *Door) deleteFault(r *http.Request, body []byte) (any, error) {
	if err := nothing(body); err != nil {
		return nil, err
	}
	if err := d.world.DeleteFault(r.PathValue("id")); err != nil {
		return nil, err
	}
	return d.faults(), nil
}

func (d *Door) postClock(r *http.Request, body []byte) (any, error) {
	var in struct {
		Advance string `json:"advance"`
		To      string `json:"to"`
	}
	if err := read(advanceForm, body, &in); err != nil {
		return nil, err
	}
	if (in.Advance == "") == (in.To == "") {
		return nil, errors.New("one of /advance and /to is needed")
	}
	by, err := time.ParseDuration(in.Advance)
	if in.To != "" {
		by, err = until(d.world.Now(), in.To)
	}
	if err != nil && in.To != "" {
		return nil, errors.New("/to must be a time of day in China like 10:00")
	}
	if err != nil || by < 0 || by > maxAdvance {
		return nil, errors.New("/advance must be a duration like 24h4m, of at most ten years")
	}
	if d.world.Now().Add(by).Year() > lastYear {
		return nil, fmt.Errorf("the clock is not moved beyond the year %d", lastYear)
	}
	return d.world.Advance(context.WithoutCancel(r.Context()), by), nil // nobody may leave the clock half way
}

// until is how long it is until a clock in China shows a time of day next.
func until(now time.Time, to string) (time.Duration, error) {
	t, err := time.Parse("15:04", to)
	if err != nil {
		return 0, err
	}
	at := world.Midnight(now).Add(time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute)
	if !at.After(now) {
		at = at.AddDate(0, 0, 1)
	}
	return at.Sub(now), nil
}

func (d *Door) postHostile(_ *http.Request, body []byte) (any, error) {
	var in struct {
		On bool `json:"on"`
	}
	if err := read(hostileForm, body, &in); err != nil {
		return nil, err
	}
	d.world.SetHostile(in.On)
	return in, nil
}

func (d *Door) getSubscribers(*http.Request, []byte) (any, error) {
	return map[string]any{"subscribers": d.cfg.Subscribers()}, nil
}
