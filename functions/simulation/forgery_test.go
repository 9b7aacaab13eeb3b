package simulation_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"wxrefund/shared/wxpay"
)

// strangerKey signs what WeChat Pay did not write.
var strangerKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

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
	o := w.history.Orders[0]
	plain, err := json.Marshal(wxpay.RefundNotification{
		MchID: keys().settings["WXPAY_MCHID"], TransactionID: o.Transaction, OutTradeNo: o.Trade,
		RefundID: "50300000000000000000000000001", OutRefundNo: no, RefundStatus: status,
		Amount: wxpay.NotificationAmount{Total: o.Total, Refund: 1, PayerTotal: new(o.Total), PayerRefund: new(int64(1))},
	})
	if err != nil {
		panic(err)
	}
	sealed, err := keys().secret.Seal("refund", "refund", plain)
	if err != nil {
		panic(err)
	}
	body, err := json.Marshal(wxpay.Notification{
		ID: "EVIL", EventType: "REFUND." + status, ResourceType: "encrypt-resource", Resource: sealed,
	})
	if err != nil {
		panic(err)
	}
	h := http.Header{"Content-Type": {"application/json"}}
	forger := &wxpay.Platform{Serial: keys().settings["WXPAY_PUBLIC_KEY_ID"], Key: strangerKey()}
	if err := forger.Sign(h, body, time.Now()); err != nil {
		panic(err)
	}
	return notification{id: "invented", header: h, body: bytes.TrimSpace(body)}
}
