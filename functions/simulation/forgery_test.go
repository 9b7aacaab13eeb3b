package simulation_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"wxrefund/shared/wxpay"
)

// strangerKey signs what WeChat Pay did not write.
func strangerKey() *quickKey { return quickKeys()[3] }

// forge sends notifications that WeChat Pay did not write: a genuine one with one
// thing changed, and one of the forger's own.
func (w *world) forge(no, name string) {
	r := w.random.of(name)
	var forged []notification
	if l, ok := w.seen(no); ok && !l.relayed {
		at := r.IntN(len(l.body))
		body := slices.Clone(l.body)
		body[at] ^= 1 << r.IntN(7)
		forged = append(forged, notification{id: "bit", header: l.header, body: body})
		for _, header := range []string{"Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature", "Wechatpay-Serial"} {
			h := l.header.Clone()
			v := []byte(h.Get(header))
			if len(v) == 0 { // v2 has none
				continue
			}
			at := r.IntN(len(v))
			v[at] = '0' + (v[at]+1)%10 // another character, whichever it was
			h.Set(header, string(v))
			if pick(r, true, false, false) {
				h.Del(header)
			}
			forged = append(forged, notification{id: header, header: h, body: l.body})
		}
	}
	forged = append(forged, w.system.forges(w, no, pick(r, "SUCCESS", "CLOSED", "ABNORMAL"))...)
	for _, l := range forged {
		w.deliver(l, "", name+" "+l.id)
	}
}

// invent writes a notification whose content is right and whose signature is the
// forger's, under WeChat Pay's name.
func (w *world) invent(no, status string) notification {
	l := compose(w.history.Orders[0], no, status, keys().settings["WXPAY_PUBLIC_KEY_ID"])
	l.id = "invented"
	return l
}

// compose writes a notification of APIv3 about a refund of 1 fen, which the stranger signs
// as whoever has that serial number.
func compose(o order, no, status, serial string) notification {
	plain, err := json.Marshal(wxpay.RefundNotification{
		MchID: keys().settings["WXPAY_MCHID"], TransactionID: o.Transaction, OutTradeNo: o.Trade,
		RefundID: "50" + no, OutRefundNo: no, RefundStatus: status, SuccessTime: "2026-11-22T10:05:00+08:00",
		Amount: wxpay.NotificationAmount{Total: o.Total, Refund: 1, PayerTotal: new(o.Total), PayerRefund: new(int64(1))},
	})
	if err != nil {
		panic(err)
	}
	sealed, err := keys().secret.Seal("refund", "refund", plain)
	if err != nil {
		panic(err)
	}
	body, err := json.Marshal(wxpay.Notification{ID: "E" + no, EventType: "REFUND." + status, ResourceType: "encrypt-resource", Resource: sealed})
	if err != nil {
		panic(err)
	}
	h := http.Header{"Content-Type": {"application/json"}}
	if err := (&wxpay.Platform{Serial: serial, Key: strangerKey()}).Sign(h, body, time.Now()); err != nil {
		panic(err)
	}
	return notification{header: h, body: body}
}
