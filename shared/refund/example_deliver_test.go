package refund_test

import (
	"context"
	"fmt"
	"log"

	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
)

// A subscriber is told of a refund that has settled. It has not acknowledged the event
// until it returns no error, and is told again later.
func ExampleService_Deliver() {
	ctx := context.Background()
	store, err := ledger.Open(ctx, "sqlite::memory:")
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	refunds := &refund.Service{
		Channel:  newUpstream(), // in a deployed function: one of package channel
		Ledger:   store,
		Merchant: refund.Merchant{MchID: "1900000109"},
		Subscribers: []refund.Subscriber{{Name: "shop", Tell: func(_ context.Context, e refund.Event) error {
			fmt.Println(e.Refund.OutRefundNo, "is", e.Status)
			return nil
		}}},
	}

	// What a notification says, once its signature has been verified.
	_, err = refunds.Settle(ctx, refund.Outcome{
		Source: refund.Notification, OutRefundNo: "REFUND-1", Merchant: refunds.Merchant, EventID: "EVENT-1",
		Refund: refund.Refund{
			OutRefundNo: "REFUND-1", OutTradeNo: "ORDER-1", Status: refund.StatusSuccess,
			Amount: refund.Amount{Total: 10000, Refund: 2500, Currency: "CNY"},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(refunds.Deliver(ctx, "REFUND-1"), "delivered")
	fmt.Println(refunds.Deliver(ctx, "REFUND-1"), "delivered")

	// Output:
	// REFUND-1 is SUCCESS
	// 1 delivered
	// 0 delivered
}
