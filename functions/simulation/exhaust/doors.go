package exhaust

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"wxrefund/notify"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
	"wxrefund/wxpayfunctions"
)

// A reply is what a client reads of the dispatcher's.
type reply struct {
	Code  int
	Retry string
	Data  struct {
		Status refund.Status
		State  string
	}
}

// name is how the reply is called.
func (r reply) name() string {
	switch {
	case r.Code != 0:
		return map[int]string{202: "proposed", 400: "invalid", 403: "denied", 404: "not_found", 409: "conflict", 422: "rejected", 429: "limited", 500: "internal", 503: "unavailable"}[r.Code]
	case r.Data.State != "":
		return r.Data.State
	}
	return string(r.Data.Status)
}

// dispatch has the dispatcher answer an event, as the platform calls it.
func dispatch(s *refund.Service, caller refund.Caller, kind string, data any) (r reply) {
	event, err := json.Marshal(map[string]any{"type": kind, "data": data})
	if err != nil {
		panic(err)
	}
	answer := wxpayfunctions.New(s, quiet()).Invoke(context.Background(), caller, event)
	if err := json.Unmarshal(answer, &r); err != nil {
		panic(err)
	}
	return r
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// A mail is a notification as it comes.
type mail struct {
	header  http.Header
	body    []byte
	relayed bool // by the platform, which calls the function
}

// hears has the notification function answer a notification; false: it is not acknowledged.
// All that come are genuine: to refuse one is a violation.
func (r *run) hears(s *refund.Service, m mail) bool {
	k := keys()
	h := &notify.Handler{Refunds: s, Keys: k.ring, Secret: k.sealed, APIKey: k.api, Log: quiet(), Answered: func(_, reason string) {
		if reason != "" {
			r.violates("a genuine notification is refused: %s", reason)
		}
	}}
	if m.relayed {
		var answer struct{ Code string }
		err := json.Unmarshal(h.Invoke(context.Background(), refund.Caller{Kind: refund.Server}, m.body), &answer)
		return err == nil && answer.Code == "SUCCESS"
	}
	req := httptest.NewRequest(http.MethodPost, "https://merchant.example/notify", bytes.NewReader(m.body))
	req.Header = m.header
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec.Code == http.StatusOK
}

// keySet is what WeChat Pay signs and seals with, and its public half.
type keySet struct {
	platform *wxpay.Platform
	ring     *wxpay.Keyring
	sealed   wxpay.APIv3Key
	api      wxpay.APIKey
}

// keys are made once, outside of any virtual time, since that takes long.
var keys = sync.OnceValue(func() keySet {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	const serial = "PUB_KEY_ID_0119000001092026112200000000000001"
	k := keySet{platform: &wxpay.Platform{Serial: serial, Key: private}, ring: wxpay.NewKeyring(map[string]*rsa.PublicKey{serial: &private.PublicKey}, nil)}
	if k.sealed, err = wxpay.ParseAPIv3Key(strings.Repeat("v3", 16)); err != nil {
		panic(err)
	}
	if k.api, err = wxpay.ParseAPIKey(strings.Repeat("v2", 16)); err != nil {
		panic(err)
	}
	return k
})

// seals is how long a signature is used again: of equal bytes it says the same.
const seals = 2 * time.Minute

// mail is a notification about a refund in the system's own form. One that has been written
// and signed is not written again.
func (x *explorer) mail(l letter, told refund.Refund) mail {
	at := time.Now().Truncate(seals)
	key := strings.Join([]string{l.no, string(l.status), told.TransactionID, at.String()}, " ")
	if m, ok := x.mails[key]; ok {
		return m
	}
	m := x.system.write(l, told)
	if x.system.letters == signed {
		if err := keys().platform.Sign(m.header, m.body, at); err != nil {
			panic(err)
		}
	}
	x.mails[key] = m
	return m
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// write writes a notification.
func (s *system) write(l letter, told refund.Refund) mail {
	plain := wxpay.RefundNotification{
		MchID: merchant.MchID, TransactionID: told.TransactionID, OutTradeNo: told.OutTradeNo, RefundID: told.RefundID, OutRefundNo: l.no,
		RefundStatus: string(l.status), SuccessTime: told.SuccessTime, Amount: wxpay.NotificationAmount{Total: told.Amount.Total, Refund: told.Amount.Refund},
	}
	v2 := map[refund.Status]string{refund.StatusSuccess: "SUCCESS", refund.StatusAbnormal: "CHANGE", refund.StatusClosed: "REFUNDCLOSE"}[l.status]
	event := "REFUND." + string(l.status)
	switch s.letters {
	case signed:
		sealed, err := keys().sealed.Seal("refund", "refund", must(json.Marshal(plain)))
		if err != nil {
			panic(err)
		}
		return mail{header: http.Header{"Content-Type": {"application/json"}}, body: must(json.Marshal(wxpay.Notification{
			ID: "E-" + l.no + string(l.status), CreateTime: "2026-11-22T10:05:00+08:00", EventType: event, ResourceType: "encrypt-resource", Summary: "-", Resource: sealed,
		}))}
	case sealed:
		inner := wxpay.Fields{"transaction_id": told.TransactionID, "out_trade_no": told.OutTradeNo, "refund_id": told.RefundID, "out_refund_no": l.no, "refund_status": v2}.XML()
		inner = bytes.ReplaceAll(bytes.ReplaceAll(inner, []byte("<xml>"), []byte("<root>")), []byte("</xml>"), []byte("</root>"))
		f := wxpay.Fields{"return_code": "SUCCESS", "mch_id": merchant.MchID, "req_info": keys().api.SealReqInfo(inner)}
		return mail{header: http.Header{"Content-Type": {"text/xml"}}, body: f.XML()}
	case relays:
		if s.v2 {
			return mail{relayed: true, body: must(json.Marshal(map[string]any{
				"returnCode": "SUCCESS", "mchId": merchant.MchID, "outRefundNo": l.no, "refundStatus": v2, "transactionId": told.TransactionID, "outTradeNo": told.OutTradeNo,
			}))}
		}
		return mail{relayed: true, body: must(json.Marshal(map[string]any{"event_type": event, "resource": plain}))}
	}
	panic("exhaust: " + s.name + " notifies nobody")
}
