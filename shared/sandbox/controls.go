package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"
)

// maxAdvance bounds how far the clock is moved at a time.
const maxAdvance = 10 * 365 * 24 * time.Hour

var hostileSchema = schema{{path: "/on", kind: boolean, required: true}}

var advanceSchema = schema{{path: "/advance", required: true, min: 1, max: 32}}

// readBody holds a control body against its schema.
func readBody(s schema, body []byte, v any) error {
	if bad := s.read(body, v); bad != nil {
		return errors.New(bad.render(bad.issue.english))
	}
	return nil
}

func (s *Sandbox) getEnv(r *http.Request, _ []byte) (any, error) {
	channel := r.URL.Query().Get("channel")
	if channel == "" {
		channel = "apiv3"
	}
	return s.Env(channel)
}

func (s *Sandbox) getCredentials(*http.Request, []byte) (any, error) { return s.credentials() }

func (s *Sandbox) postOrder(_ *http.Request, body []byte) (any, error) {
	var in orderObject
	if err := readBody(orderSchema, body, &in); err != nil {
		return nil, err
	}
	return s.pay(in)
}

func (s *Sandbox) getRefunds(*http.Request, []byte) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]refundObject, len(s.accepted))
	for i, r := range s.accepted {
		out[i] = r.object()
	}
	return map[string]any{"refunds": out}, nil
}

// postRefundByHand makes a refund as on the merchant platform. The amount may
// be a number, or an object like APIv3's.
func (s *Sandbox) postRefundByHand(_ *http.Request, body []byte) (any, error) {
	var in struct {
		application
		Amount       json.RawMessage `json:"amount"`
		Notification string          `json:"notification"` // the kind that tells of it
	}
	form := handSchema
	if json.Unmarshal(body, &in) == nil && bytes.HasPrefix(in.Amount, []byte("{")) {
		form = handSchemaLong
	}
	if err := readBody(form, body, &in); err != nil {
		return nil, err
	}
	a := in.application
	amount := any(&a.Amount.Refund)
	if bytes.HasPrefix(in.Amount, []byte("{")) {
		amount = &a.Amount
	}
	if err := json.Unmarshal(in.Amount, amount); err != nil {
		return nil, err
	}
	return s.applyByHand(a, cmp.Or(in.Notification, notificationV3))
}

func (s *Sandbox) postSettle(r *http.Request, body []byte) (any, error) {
	var in struct {
		Status string `json:"status"`
	}
	if err := readBody(settleSchema, body, &in); err != nil {
		return nil, err
	}
	out, f, err := s.settleByHand(r.PathValue("out_refund_no"), in.Status)
	if f != nil {
		s.fly(context.WithoutCancel(r.Context()), f) // a notification is not called back
	}
	return out, err
}

func (s *Sandbox) getDeliveries(*http.Request, []byte) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]deliveryObject, len(s.notifications))
	for i, d := range s.notifications {
		out[i] = d.object()
	}
	return map[string]any{"deliveries": out}, nil
}

func (s *Sandbox) postResend(r *http.Request, _ []byte) (any, error) {
	s.mu.Lock()
	d := s.deliveries[r.PathValue("id")]
	if d == nil {
		s.mu.Unlock()
		return nil, errNoDelivery
	}
	f := s.takeOff(d, true)
	s.mu.Unlock()
	s.fly(context.WithoutCancel(r.Context()), f)
	s.mu.Lock()
	defer s.mu.Unlock()
	return d.object(), nil
}

func (s *Sandbox) getFaults(*http.Request, []byte) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faultList(), nil
}

func (s *Sandbox) postFault(_ *http.Request, body []byte) (any, error) {
	var in faultObject
	if err := readBody(faultSchema, body, &in); err != nil {
		return nil, err
	}
	if in.Upstream == "" && in.ErrCode == "" && in.Notify == "" {
		return nil, errors.New("one of /upstream, /err_code and /notify is needed")
	}
	return s.addFault(in)
}

func (s *Sandbox) deleteFaults(*http.Request, []byte) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
	return s.faultList(), nil
}

func (s *Sandbox) deleteFault(r *http.Request, _ []byte) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.faults)
	s.faults = slices.DeleteFunc(s.faults, func(f *fault) bool { return f.object.ID == r.PathValue("id") })
	if len(s.faults) == before {
		return nil, errNoFault
	}
	return s.faultList(), nil
}

func (s *Sandbox) postClock(r *http.Request, body []byte) (any, error) {
	var in struct {
		Advance string `json:"advance"`
	}
	if err := readBody(advanceSchema, body, &in); err != nil {
		return nil, err
	}
	d, err := time.ParseDuration(in.Advance)
	if err != nil || d < 0 || d > maxAdvance {
		return nil, errors.New("/advance must be a duration like 24h4m, of at most ten years")
	}
	return s.advance(context.WithoutCancel(r.Context()), d), nil // nobody may leave the clock half way
}

func (s *Sandbox) postRotate(*http.Request, []byte) (any, error) {
	certificate, public, err := s.rotate()
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"platform_serial": certificate.serial, "public_key_id": public.serial,
		"old_until": stamp(s.Now().Add(overlap)),
	}, nil
}

func (s *Sandbox) postHostile(_ *http.Request, body []byte) (any, error) {
	var in struct {
		On bool `json:"on"`
	}
	if err := readBody(hostileSchema, body, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hostile = in.On
	s.log.Info("hostility switched", "on", in.On)
	return in, nil
}

func (s *Sandbox) getState(r *http.Request, _ []byte) (any, error) { return s.state(r.Context()), nil }
