package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"wxrefund/shared/refund"
)

const (
	// dailyBill is the line about WeChat Pay's own bill.
	dailyBill = "daily bill"
	// billTime bounds how long one is waited for: a large one may take longer, and the
	// reconciler has the time.
	billTime = 30 * time.Second
)

// bill proves that WeChat Pay gives its daily bill to the merchant: by fetching the last
// one, which nothing is done with. after are the lines about the upstream so far.
func (c *checker) bill(ctx context.Context, after []Result) []Result {
	spec := c.sys.Refunds.Channel.Spec()
	const byHand = "download it from the merchant platform now and then, and give it to operate bill -file"
	switch {
	case !slices.Contains(spec.Bills, refund.TradeBill) && spec.Name == "cloudbase":
		return append(after, note(dailyBill, "the channel cloudbase has none by itself: a refund by hand whose notifications are lost stays unknown",
			"set WXPAY_SERIAL_NO, WXPAY_PRIVATE_KEY and WXPAY_APIV3_KEY beside it; or "+byHand))
	case !slices.Contains(spec.Bills, refund.TradeBill):
		return append(after, note(dailyBill, fmt.Sprintf("the channel %s has none", spec.Name), byHand))
	case c.sys.Refunds.NoBill:
		return append(after, note(dailyBill, "RECONCILE_BILL is off: a refund by hand whose notifications are lost stays unknown", byHand))
	case !slices.ContainsFunc(after, func(r Result) bool { return r.Name == refundQuery && r.Status == OK }):
		return notAsked(after, dailyBill)
	}
	return append(after, c.fetchBill(ctx))
}

func (c *checker) fetchBill(ctx context.Context) Result {
	now := time.Now()
	if c.Now != nil {
		now = c.Now()
	}
	day := refund.LastBill(now)
	ctx, cancel := context.WithTimeout(ctx, billTime)
	defer cancel()
	b, err := c.sys.Refunds.Channel.Bill(ctx, refund.BillQuery{Day: day, Kind: refund.TradeBill})
	switch {
	case err == nil:
		if b.Close != nil {
			_ = b.Close() // a copy that nobody needs
		}
		if b.Empty {
			return ok(dailyBill, "WeChat Pay answers: %s has none, since nothing was paid or refunded", day)
		}
		return ok(dailyBill, "WeChat Pay gives out that of %s, with %d rows", day, b.Rows)
	case ctx.Err() != nil:
		return note(dailyBill, fmt.Sprintf("that of %s has not come within %s", day, billTime), "look at operate bill on the next day: the timer has more time")
	}
	e := refund.AsError(err)
	const byHand = "until then: operate bill -file, and RECONCILE_BILL=off for no alarms"
	switch {
	case errors.Is(err, refund.ErrBillUnreadable):
		return problem(dailyBill, "that of "+string(day)+" cannot be used: "+line(err), "report it, with the first lines of the file from the merchant platform")
	case isNet(err):
		return warning(dailyBill, "nobody could be asked for it: "+answer(e), "see that this machine reaches WeChat Pay; "+byHand)
	case e.Code == refund.CodeUnavailable && e.Next == refund.Later:
		return note(dailyBill, "that of "+string(day)+" is not there yet: "+answer(e), "look at operate bill in some hours")
	case e.Upstream == "NO_AUTH" || e.Upstream == "NOAUTH":
		return warning(dailyBill, answer(e), "on the merchant platform: let the merchant's API fetch bills; "+byHand)
	}
	return warning(dailyBill, answer(e), c.remedy(e)+"; "+byHand)
}

// isNet reports whether the network, and not an answer, is why there is none.
func isNet(err error) bool {
	_, ok := errors.AsType[net.Error](err)
	return ok
}
