package notify_test

import (
	"crypto/rsa"
	"fmt"
	"net/http"
	"testing"

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
	signers := []*rsa.PrivateKey{platformKey(), strangerKey()}
	serials := []string{serial, serial + "2"}

	f := setUp(t)
	f.Secret, f.APIKey = v3[0].Or(v3[1]), v2[0].Or(v2[1])
	f.Keys = wxpay.NewKeyring(map[string]*rsa.PublicKey{serials[0]: &signers[0].PublicKey, serials[1]: &signers[1].PublicKey}, nil)
	f.up.err = nil

	const rounds = 300 // of v2, so that the wrong one of two keys finds padding now and then
	for i := range rounds {
		if i < 12 { // APIv3's costs a signature each
			no := fmt.Sprintf("A%d", i)
			w := f.send(t, func(m *message) {
				m.notification.ID = "EV-" + no
				m.refund.TransactionID, m.refund.OutTradeNo, m.refund.RefundID, m.refund.OutRefundNo = "W"+no, "O"+no, "ID"+no, no
				m.seal = func(plain []byte) wxpay.Resource {
					r, err := v3[i%2].Seal("refund", "refund", plain)
					if err != nil {
						t.Fatal(err)
					}
					return r
				}
				m.key = signers[i/2%2]
				m.request = func(r *http.Request) { r.Header.Set("Wechatpay-Serial", serials[i/2%2]) }
			})
			if w.Code != 200 {
				t.Errorf("APIv3, sealed with key %d, signed with %d: %d %s", i%2, i/2%2, w.Code, w.Body)
			}
		}
		no := fmt.Sprintf("B%d", i)
		// The query that confirms a v2 notification gives the same answer.
		f.up.reply = refund.Refund{RefundID: "ID" + no, OutRefundNo: no, OutTradeNo: "O" + no, TransactionID: "W" + no, Status: refund.StatusSuccess, Amount: refund.Amount{Refund: 60, Total: 100}}
		w := f.sendV2(t, func(m *notification2) {
			inner := fmt.Sprintf("<root><out_refund_no>%s</out_refund_no><refund_status>SUCCESS</refund_status><refund_fee>60</refund_fee>", no)
			// 15 bytes in the last block, and other ones each time.
			inner += fmt.Sprintf("<a>%0*d</a></root>", 16+(15-(len(inner)+3+16+11)%16+16)%16, i)
			m.seal = func([]byte) string { return v2[i%2].SealReqInfo([]byte(inner)) }
		})
		if w.Code != 200 {
			t.Errorf("v2 notification %d, sealed with key %d: %d %s", i, i%2, w.Code, w.Body)
		}
	}
}
