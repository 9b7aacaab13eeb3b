package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"wxrefund/shared/console"
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
)

// maxNumber is the greatest length of a refund's number, in bytes.
const maxNumber = 64

// errNoOrder is for a number that no order has.
var errNoOrder = errors.New("sandbox: no order has this number")

// A refundDetail is one refund with all that is known of it.
type refundDetail struct {
	row
	Can      []string        `json:"can"`             // the states that it can be settled as by hand
	Event    json.RawMessage `json:"event,omitempty"` // to ask the merchant's side for the same once more
	Timeline []line          `json:"timeline"`
	Notices  []deliveryState `json:"deliveries"` // the oldest first
	Order    *orderState     `json:"order"`
	Siblings []row           `json:"siblings"` // the other refunds of its order, the newest first

	Exchanges []exchangeSummary `json:"exchanges"` // the newest first
}

// An orderDetail is an order with its refunds, the newest first.
type orderDetail struct {
	orderState
	Refunds []row `json:"refunds"`
}

func (d *Door) viewRefunds(r *http.Request, _ []byte) (any, error) {
	p := console.ReadParams(r)
	filter, part := refundFilterOf(p), pageOf(p)
	if err := p.Bad(); err != nil {
		return nil, err
	}
	found, total := d.listRefunds(r.Context(), filter, part)
	return map[string]any{"total": total, "offset": part.offset, "refunds": found}, nil
}

// listRefunds returns a part of the refunds that pass, and how many do.
func (d *Door) listRefunds(ctx context.Context, filter refundFilter, part page) ([]row, int) {
	x := d.index
	x.refresh(ctx)
	x.mu.Lock()
	defer x.mu.Unlock()
	found, total := pick(x.sorted, part, filter.passes)
	return rows(found), total
}

func rows(entries []*entry) []row {
	out := make([]row, len(entries))
	for i, e := range entries {
		out[i] = e.row
	}
	return out
}

func (d *Door) viewRefund(r *http.Request, _ []byte) (any, error) {
	no := r.PathValue("out_refund_no")
	if len(no) > maxNumber || !schema.FormNumber.MatchString(no) {
		return nil, world.ErrNoRefund // and no ledger needs to be asked, which may refuse it
	}
	x := d.index
	x.refresh(r.Context())
	// One of an earlier run may be in the ledger and not in the list.
	merchant := x.look(r.Context(), no)
	wechat, _ := d.world.Refund(no)
	about := d.world.About(no)
	exchanges, _ := pick(d.world.Exchanges(no), page{limit: shownExchanges}, func(*world.Exchange) bool { return true })

	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.refunds[no]
	if e == nil || !e.known() {
		return nil, world.ErrNoRefund
	}
	out := refundDetail{row: e.row, Can: append([]string{}, wechat.Can...), Event: merchant.Event, Timeline: timeline(wechat, merchant, about), Notices: []deliveryState{}, Exchanges: summaries(exchanges)}
	for _, n := range about {
		out.Notices = append(out.Notices, stateOfDelivery(n))
	}
	if o := x.order(e.OutTradeNo, e.TransactionID); o != nil {
		of := o.orderState
		out.Order = &of
	}
	out.Siblings = rows(x.refundsOf(e.OutTradeNo, e.TransactionID, e))
	return out, nil
}

// refundsOf returns the refunds of an order but for one, the newest first. x.mu is held.
func (x *index) refundsOf(outTradeNo, transactionID string, but *entry) []*entry {
	var all []*entry
	for _, name := range []string{outTradeNo, transactionID} {
		if name != "" {
			all = append(all, x.ofOrder[name]...)
		}
	}
	slices.SortFunc(all, func(a, b *entry) int { return older(b, a) })
	return slices.DeleteFunc(slices.Compact(all), func(e *entry) bool {
		// One order's number may be what another is called by WeChat Pay.
		same := outTradeNo != "" && e.OutTradeNo == outTradeNo || transactionID != "" && e.TransactionID == transactionID
		return e == but || !same
	})
}

func (d *Door) viewOrders(r *http.Request, _ []byte) (any, error) {
	p := console.ReadParams(r)
	text := p.Text("q")
	wanted, part := strings.ToLower(strings.TrimSpace(text)), pageOf(p)
	amount, isAmount := console.ParseAmount(text)
	if err := p.Bad(); err != nil {
		return nil, err
	}
	x := d.index
	x.refresh(r.Context())
	x.mu.Lock()
	defer x.mu.Unlock()
	found, total := pick(x.orders, part, func(o *orderEntry) bool {
		return wanted == "" || strings.Contains(o.search, wanted) || isAmount && amount.Is(o.Total, o.Currency)
	})
	out := make([]orderState, len(found))
	for i, o := range found {
		out[i] = o.orderState
	}
	return map[string]any{"total": total, "offset": part.offset, "orders": out}, nil
}

func (d *Door) viewOrder(r *http.Request, _ []byte) (any, error) {
	x := d.index
	x.refresh(r.Context())
	x.mu.Lock()
	defer x.mu.Unlock()
	no := r.PathValue("out_trade_no")
	o := x.order(no, no)
	if o == nil {
		return nil, errNoOrder
	}
	return orderDetail{o.orderState, rows(x.refundsOf(o.OutTradeNo, o.TransactionID, nil))}, nil
}

func (d *Door) viewNotifications(r *http.Request, _ []byte) (any, error) {
	p := console.ReadParams(r)
	wanted := strings.ToLower(strings.TrimSpace(p.Text("q")))
	states := p.Among("state", world.DeliveryPending, world.DeliveryDelivered, world.DeliveryFailed, world.DeliveryLost)
	part := pageOf(p)
	if err := p.Bad(); err != nil {
		return nil, err
	}
	d.index.refresh(r.Context())
	ids, total := d.index.notifications(wanted, states, part)
	out := []deliveryState{}
	for _, n := range d.world.DeliveriesOf(ids...) {
		out = append(out, stateOfDelivery(n))
	}
	return map[string]any{"total": total, "offset": part.offset, "deliveries": out}, nil
}

// notifications returns the IDs of a part of those that are asked for, the newest first.
func (x *index) notifications(wanted string, states []string, part page) (ids []string, total int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	found, total := pick(x.notices, part, func(n *noticeEntry) bool {
		return strings.Contains(n.search, wanted) && (states == nil || slices.Contains(states, n.state))
	})
	for _, n := range found {
		ids = append(ids, n.id)
	}
	return ids, total
}
