package wxpay_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"time"

	"wxrefund/shared/wxpay"
)

// A refund notification is verified as it came, and only then read and opened.
func Example() {
	const keyID = "PUB_KEY_ID_0119000001092024110100000000000001"
	platform, err := rsa.GenerateKey(rand.Reader, 2048) // WeChat Pay's; the merchant has its public half
	if err != nil {
		panic(err)
	}
	apiV3Key, err := wxpay.ParseAPIv3Key("an-APIv3-key-has-32-characters!!")
	if err != nil {
		panic(err)
	}
	keys := wxpay.NewKeyring(map[string]*rsa.PublicKey{keyID: &platform.PublicKey}, nil)

	receive := func(ctx context.Context, header http.Header, body []byte) (wxpay.RefundNotification, error) {
		if err := keys.Verify(ctx, header, body); err != nil {
			return wxpay.RefundNotification{}, err
		}
		n, err := wxpay.ParseNotification(body)
		if err != nil {
			return wxpay.RefundNotification{}, err
		}
		plain, err := apiV3Key.Open(n.Resource)
		if err != nil {
			return wxpay.RefundNotification{}, err
		}
		return wxpay.ParseRefundNotification(plain)
	}

	// What WeChat Pay sends; the sandbox does this.
	sealed, err := apiV3Key.Seal("refund", "refund", []byte(`{"mchid":"1900000109","out_trade_no":"order-1","transaction_id":"4200000001",
		"out_refund_no":"refund-1","refund_id":"50000000382019052709732678859","refund_status":"SUCCESS","amount":{"total":999,"refund":499}}`))
	if err != nil {
		panic(err)
	}
	body := fmt.Appendf(nil, `{"id":"EV-1","event_type":"REFUND.SUCCESS","resource":{"original_type":"refund","algorithm":%q,"ciphertext":%q,"nonce":%q,"associated_data":%q}}`,
		sealed.Algorithm, sealed.Ciphertext, sealed.Nonce, sealed.AssociatedData)
	header := http.Header{}
	if err := (&wxpay.Platform{Serial: keyID, Key: platform}).Sign(header, body, time.Now()); err != nil {
		panic(err)
	}

	n, err := receive(context.Background(), header, body)
	fmt.Println(n.OutRefundNo, n.RefundStatus, n.Amount.Refund, "of", n.Amount.Total, err)

	body[10] ^= 1
	_, err = receive(context.Background(), header, body)
	fmt.Println(err)
	// Output:
	// refund-1 SUCCESS 499 of 999 <nil>
	// wxpay: signature does not verify
}
