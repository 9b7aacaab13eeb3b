package notify_test

import (
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// While keys are changed, no notification is refused: neither an APIv3 one that is
// sealed with the new or the old key, signed with the new or the old public key, nor a
// v2 one that is sealed with the new or the old API key.
func TestNoNotificationIsRefusedDuringAKeyRotation(t *testing.T) {
	texts := []string{"new-key-0123456789-0123456789-01", "old-key-0123456789-0123456789-01"}
	var v3 []wxpay.APIv3Key
	var v2 []wxpay.APIKey
	for _, text := range texts {
		a, err := wxpay.ParseAPIv3Key(text)
		if err != nil {
			t.Fatal(err)
		}
		b, err := wxpay.ParseAPIKey(text)
		if err != nil {
			t.Fatal(err)
		}
		v3, v2 = append(v3, a), append(v2, b)
	}
	signers := []*wxpay.Platform{{Serial: serial, Key: platformKey()}, {Serial: serial + "2", Key: strangerKey()}}

	f := setUp(t)
	f.Secret, f.APIKey = v3[0].Or(v3[1]), v2[0].Or(v2[1])
	f.Keys = wxpay.NewKeyring(map[string]*rsa.PublicKey{serial: &platformKey().PublicKey, serial + "2": &strangerKey().PublicKey}, nil)
	f.up.err = nil

	// The query that confirms a v2 notification gives the same answer.
	answer := func(no string) {
		f.up.reply = refund.Refund{RefundID: "ID" + no, OutRefundNo: no, OutTradeNo: "O" + no, TransactionID: "W" + no, Status: refund.StatusSuccess, Amount: refund.Amount{Refund: 60, Total: 100}}
	}
	const rounds = 300 // of v2, so that the wrong one of two keys finds padding now and then
	for i := range rounds {
		if i < 12 { // APIv3's costs a signature each
			no := fmt.Sprintf("A%d", i)
			plain, err := json.Marshal(wxpay.RefundNotification{
				MchID: mchid, TransactionID: "W" + no, OutTradeNo: "O" + no, RefundID: "ID" + no, OutRefundNo: no, RefundStatus: "SUCCESS",
				Amount: wxpay.NotificationAmount{Total: 100, Refund: 60, PayerTotal: new(int64(100)), PayerRefund: new(int64(60))},
			})
			if err != nil {
				t.Fatal(err)
			}
			resource, err := v3[i%2].Seal("refund", "refund", plain)
			if err != nil {
				t.Fatal(err)
			}
			body, err := json.Marshal(wxpay.Notification{ID: "EV-" + no, EventType: "REFUND.SUCCESS", ResourceType: "encrypt-resource", Resource: resource})
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
			if err := signers[i/2%2].Sign(r.Header, body, time.Now()); err != nil {
				t.Fatal(err)
			}
			if w := serve(f, r); w.Code != 200 {
				t.Errorf("APIv3, sealed with key %d, signed with %d: %d %s", i%2, i/2%2, w.Code, w.Body)
			}
		}
		no := fmt.Sprintf("B%d", i)
		answer(no)
		inner := fmt.Sprintf("<root><out_refund_no>%s</out_refund_no><refund_status>SUCCESS</refund_status><refund_fee>60</refund_fee>", no)
		// 15 bytes in the last block, and other ones each time.
		inner += fmt.Sprintf("<a>%0*d</a></root>", 16+(15-(len(inner)+3+16+11)%16+16)%16, i)
		outer := wxpay.Fields{"return_code": "SUCCESS", "mch_id": mchid, "req_info": v2[i%2].SealReqInfo([]byte(inner))}
		if w := serve(f, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(outer.XML())))); w.Code != 200 {
			t.Errorf("v2 notification %d, sealed with key %d: %d %s", i, i%2, w.Code, w.Body)
		}
	}
}

func serve(f *fixture, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}
