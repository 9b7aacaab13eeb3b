// Package control is how people and programs on this machine see and drive a sandbox:
// JSON below /_sandbox/, and a stream of what changes for the console.
package control

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"wxrefund/shared/console"
	"wxrefund/shared/sandbox/world"
)

// statuses are those of errors that are not just bad requests.
var statuses = []struct {
	err    error
	status int
}{
	{world.ErrNoRefund, http.StatusNotFound},
	{world.ErrNoDelivery, http.StatusNotFound},
	{world.ErrNoFault, http.StatusNotFound},
	{errNoOrder, http.StatusNotFound},
	{errNoExchange, http.StatusNotFound},
	{world.ErrClash, http.StatusConflict},
	{world.ErrFinal, http.StatusConflict},
	{world.ErrTooManyKeys, http.StatusConflict},
	{world.ErrUnusedKeys, http.StatusConflict},
	{world.ErrNoSwitch, http.StatusConflict},
	{world.ErrTooManyFaults, http.StatusConflict},
}

// endpoints are the control doors.
func (d *Door) endpoints() []console.Endpoint {
	return []console.Endpoint{
		{Pattern: "GET /_sandbox/env?channel", Handle: d.getEnv},
		{Pattern: "GET /_sandbox/credentials?only", Handle: d.getCredentials},
		{Pattern: "POST /_sandbox/orders", Handle: d.postOrder},
		{Pattern: "GET /_sandbox/refunds", Handle: d.getRefunds},
		{Pattern: "POST /_sandbox/refunds", Handle: d.postRefundByHand},
		{Pattern: "POST /_sandbox/refunds/{out_refund_no}/settle", Handle: d.postSettle},
		{Pattern: "GET /_sandbox/deliveries", Handle: d.getDeliveries},
		{Pattern: "POST /_sandbox/deliveries/{id}/resend", Handle: d.postResend},
		{Pattern: "GET /_sandbox/subscribers", Handle: d.getSubscribers},
		{Pattern: "GET /_sandbox/faults", Handle: d.getFaults},
		{Pattern: "POST /_sandbox/faults", Handle: d.postFault},
		{Pattern: "DELETE /_sandbox/faults", Handle: d.deleteFaults},
		{Pattern: "DELETE /_sandbox/faults/{id}", Handle: d.deleteFault},
		{Pattern: "POST /_sandbox/clock", Handle: d.postClock},
		{Pattern: "POST /_sandbox/keys/rotate", Handle: d.postRotate},
		{Pattern: "GET /_sandbox/keys/share", Handle: d.getShare},
		{Pattern: "POST /_sandbox/keys/share", Handle: d.postShare},
		{Pattern: "DELETE /_sandbox/keys/share", Handle: d.deleteShare},
		{Pattern: "POST /_sandbox/hostile", Handle: d.postHostile},
		{Pattern: "GET /_sandbox/events", Handle: d.getEvents},
		{Pattern: "GET /_sandbox/state", Handle: d.getState},
		{Pattern: "GET /_sandbox/view/refunds?*", Handle: d.viewRefunds},
		{Pattern: "GET /_sandbox/view/refunds.csv?*", Handle: d.viewRefundsCSV},
		{Pattern: "GET /_sandbox/view/refunds/{out_refund_no}", Handle: d.viewRefund},
		{Pattern: "GET /_sandbox/view/orders?*", Handle: d.viewOrders},
		{Pattern: "GET /_sandbox/view/orders/{out_trade_no}", Handle: d.viewOrder},
		{Pattern: "GET /_sandbox/view/applications?*", Handle: d.viewApplications},
		{Pattern: "GET /_sandbox/view/notifications?*", Handle: d.viewNotifications},
		{Pattern: "GET /_sandbox/view/exchanges?*", Handle: d.viewExchanges},
		{Pattern: "GET /_sandbox/view/exchanges/{id}", Handle: d.viewExchange},
		{Pattern: "GET /_sandbox/view/day?*", Handle: d.viewDay},
		{Pattern: "GET /_sandbox/view/bill.csv?*", Handle: d.viewBill},
	}
}

// A Config is what the control doors show of what is not in the world.
type Config struct {
	Channel         string                               // the upstream system that the merchant's side uses
	MerchantRefunds MerchantRefunds                      // reads the merchant's records; nil: they are not shown
	MerchantBills   MerchantBills                        // reads what the merchant has found of bills; nil: that is not shown
	MerchantCall    MerchantCall                         // calls the merchant's function; nil: there is none
	Callers         Callers                              // whom the console plays
	Env             func(channel string) (string, error) // the environment of one of our functions
	Subscribers     func() any                           // the example functions
	NoTimer         bool                                 // nobody runs the merchant's timer
	WebhookSecret   string                               // with which the merchant's side signs its webhook; empty: it has none
}

// A Door lets people and programs on this machine control a world.
type Door struct {
	cfg   Config
	world *world.World
	index *index
	bills bills

	writes atomic.Int64 // how often the merchant's side has written

	mu       sync.Mutex
	watchers int // pages that are kept up to date
}

// New opens the control doors of a world.
func New(w *world.World, cfg Config) *Door {
	return &Door{cfg: cfg, world: w, index: newIndex(w, cfg.MerchantRefunds)}
}

// MerchantChanged tells that the merchant has written refunds, so that they are read
// again. It may be called at any time and does not block.
func (d *Door) MerchantChanged(outRefundNos ...string) {
	d.writes.Add(1)
	d.index.merchantChanged(outRefundNos)
	d.world.Broadcast()
}

// Keep keeps what can be listed up to date until ctx or the world ends: whoever comes
// later does not wait for all of it to be read.
func (d *Door) Keep(ctx context.Context) {
	for {
		changed := d.world.Changed() // first, so that nothing is missed between the look and the wait
		d.index.refresh(ctx)
		if !d.world.Pause(ctx, leastPause) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		case <-d.world.Done():
			return
		}
	}
}

// Handler serves everything below /_sandbox/. It shows secrets, so it is for this
// machine alone.
func (d *Door) Handler() http.Handler {
	return console.API{Endpoints: d.endpoints(), Refuse: refuse, Changed: d.world.Broadcast}.Handler()
}

// refuse is how an error of a control door is told.
func refuse(err error) *console.Refusal {
	no := &console.Refusal{Status: http.StatusBadRequest, Text: strings.TrimPrefix(err.Error(), "sandbox: ")}
	if r, ok := errors.AsType[*world.Refusal](err); ok {
		no.Status = r.Status()
	}
	for _, c := range statuses {
		if errors.Is(err, c.err) {
			no.Status = c.status
		}
	}
	return no
}
