package refund_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"wxrefund/shared/config"
	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox"
)

// A refund of 25.00 yuan of an order of 100.00, over the sandbox that plays WeChat Pay.
func ExampleService_Refund() {
	// WeChat Pay, with an order that has been paid.
	wechat, err := sandbox.New(sandbox.Config{})
	if err != nil {
		log.Fatal(err)
	}
	front, control := httptest.NewServer(wechat.WeChat()), httptest.NewServer(wechat.Control())
	defer front.Close()
	defer control.Close()
	wechat.SetURLs(sandbox.URLs{WeChat: front.URL})
	paid, err := http.Post(control.URL+"/_sandbox/orders", "application/json", strings.NewReader(`{"out_trade_no": "ORDER-1", "total": 10000}`))
	if err != nil {
		log.Fatal(err)
	}
	_ = paid.Body.Close()

	// Our side, with the settings that a deployed function gets from its environment.
	settings, err := wechat.Settings("apiv3")
	if err != nil {
		log.Fatal(err)
	}
	settings["LEDGER_URL"] = "sqlite::memory:"
	ctx := context.Background()
	sys, err := config.Load(ctx, func(name string) string { return settings[name] }, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer sys.Close()

	// The same request may be repeated at will: it refunds once.
	for range 2 {
		r, err := sys.Refunds.Refund(ctx, refund.Caller{Kind: refund.Server}, refund.Request{
			OutRefundNo: "REFUND-1", OutTradeNo: "ORDER-1", Reason: "sold out",
			Amount: refund.RequestAmount{Refund: 2500, Total: 10000, Currency: "CNY"},
		})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(r.OutRefundNo, r.Status, r.Amount.Refund)
	}

	// More than what is left of the order is refused before anything is sent.
	_, err = sys.Refunds.Refund(ctx, refund.Caller{Kind: refund.Server}, refund.Request{
		OutRefundNo: "REFUND-2", OutTradeNo: "ORDER-1",
		Amount: refund.RequestAmount{Refund: 7600, Total: 10000, Currency: "CNY"},
	})
	fmt.Println(refund.IsCode(err, refund.CodeConflict), refund.AsError(err).Message)

	// Output:
	// REFUND-1 PROCESSING 2500
	// REFUND-1 PROCESSING 2500
	// true amount.refund is more than what is left of the order: 7500 of 10000
}
