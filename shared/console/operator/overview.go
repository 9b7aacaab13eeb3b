package operator

import (
	"context"
	"net/http"
	"time"

	"wxrefund/shared/refund"
)

const (
	// mostCounted bounds what is read in order to be counted.
	mostCounted = 2000

	// slowAfter is how long a refund may be in progress before it is looked at: WeChat Pay
	// closes one after seven days if the account that pays lacks money.
	slowAfter = 4 * 24 * time.Hour

	// overviewTime bounds how long the first screen waits for the ledger.
	overviewTime = 20 * time.Second

	// nameOfNone is a number that no refund has: to read it is to see how long reading takes.
	nameOfNone = "-"
)

// An overview answers whether anything is wrong.
type overview struct {
	Now          string           `json:"now"`
	Channel      string           `json:"channel"`
	Merchant     string           `json:"merchant"`
	Operator     string           `json:"operator"`
	Act          bool             `json:"act"`      // whether the operator may change anything
	Currency     string           `json:"currency"` // of the newest refund
	Refunds      int64            `json:"refunds"`
	Incomplete   bool             `json:"incomplete"` // of lists: the index is still being made
	Latency      int64            `json:"ledger_ms"`
	Alarms       counted          `json:"alarms"` // things with open alarms that nobody has acknowledged
	Newest       []openAlarm      `json:"newest"` // some of them
	Doubt        since            `json:"doubt"`
	Funds        waiting          `json:"funds"`
	Applications int64            `json:"applications"` // that wait for a decision
	Owed         int64            `json:"undelivered"`  // refunds of which a subscriber has not acknowledged an event
	Slow         int64            `json:"slow"`         // in progress for longer than slowAfter
	Timer        timer            `json:"timer"`
	Books        books            `json:"books"` // of the last days
	States       map[string]int64 `json:"states"`
}

// A counted is how many there are; More that there are more, which were not looked at.
type counted struct {
	N    int  `json:"n"`
	More bool `json:"more"`
}

// A since adds since when there has been one.
type since struct {
	counted
	Oldest string `json:"oldest"`
}

// A waiting adds up what waits for the merchant's balance.
type waiting struct {
	counted
	Amounts []amount `json:"amounts"`
}

// An amount is money in minor units.
type amount struct {
	Currency string `json:"currency"`
	Amount   int64  `json:"amount"`
}

// A timer says whether the reconciler runs.
type timer struct {
	Seen   string `json:"seen"`   // a run has been seen then; runs leave a trace once an hour. "": none ever
	Stands bool   `json:"stands"` // none has for longer than that, or work is left lying
	Behind bool   `json:"behind"` // something has been due for a while
	Ahead  bool   `json:"ahead"`  // the last run lies ahead of our time: a clock is wrong
}

func (c *Console) getOverview(r *http.Request, _ []byte) (any, error) {
	ctx, cancel := context.WithTimeout(r.Context(), overviewTime)
	defer cancel()
	s := c.cfg.Refunds
	now := c.now()
	o := overview{
		Now: stamp(now), Channel: s.Channel.Spec().Name, Merchant: s.Merchant.MchID, Operator: c.cfg.Operator, Act: c.cfg.Act,
		Currency: "CNY", States: map[string]int64{}, Newest: []openAlarm{}, Funds: waiting{Amounts: []amount{}},
	}
	if s.Merchant.SubMchID != "" {
		o.Merchant = s.Merchant.SubMchID
	}
	begun := time.Now()
	if _, err := s.Inspect(ctx, nameOfNone); err != nil {
		return nil, err
	}
	o.Latency = time.Since(begun).Milliseconds()
	for _, read := range []func(context.Context, *overview) error{c.countStates, c.countAlarms, c.countClaims, c.countApplications, c.countOwed, c.seeTimer, c.seeBooks} {
		if err := read(ctx, &o); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// now is the service's clock.
func (c *Console) now() time.Time {
	if c.cfg.Refunds.Now != nil {
		return c.cfg.Refunds.Now()
	}
	return time.Now()
}

func (c *Console) countStates(ctx context.Context, o *overview) error {
	newest, err := c.cfg.Refunds.ListRefunds(ctx, refund.Filter{}, "", 1)
	if err != nil {
		return err
	}
	o.Incomplete = newest.Incomplete
	for _, in := range newest.Refunds {
		o.Currency = either(in.Refund.Amount.Currency, o.Currency)
	}
	for _, state := range []refund.State{refund.Claimed, refund.Processing, refund.Abnormal, refund.Success, refund.Closed, refund.Rejected} {
		n, err := c.cfg.Refunds.CountRefunds(ctx, refund.Filter{States: []refund.State{state}})
		if err != nil {
			return err
		}
		o.States[string(state)] = n
		o.Refunds += n
	}
	return nil
}

// newestAlarms is how many alarms are shown on the first screen.
const newestAlarms = 5

// countAlarms counts what has open alarms: a refund with two of them is one thing to look at.
func (c *Console) countAlarms(ctx context.Context, o *overview) error {
	things := map[string]bool{}
	for cursor, read := "", 0; read < mostCounted; read += atOnce {
		alarms, next, err := c.cfg.Refunds.Alarms(ctx, cursor, atOnce)
		if err != nil {
			return err
		}
		for _, a := range alarms {
			things[a.About] = true
			if len(o.Newest) < newestAlarms {
				o.Newest = append(o.Newest, openAlarmOf(a))
			}
		}
		cursor, o.Alarms.More = next, next != ""
		if next == "" {
			break
		}
	}
	o.Alarms.N = len(things)
	return nil
}

// countClaims looks at the claims: few refunds are one at a time, however many there are.
func (c *Console) countClaims(ctx context.Context, o *overview) error {
	read := 0
	sums := map[string]int64{}
	for in, err := range c.all(ctx, refund.Filter{States: []refund.State{refund.Claimed}}) {
		if err != nil {
			return err
		}
		if read++; read > mostCounted {
			o.Doubt.More, o.Funds.More = true, true
			break
		}
		if in.InDoubt {
			o.Doubt.N++
			o.Doubt.Oldest = stamp(in.ClaimedAt) // the newest come first
		}
		if in.WaitingFunds {
			o.Funds.N++
			a := in.Refund.Amount
			if sums[a.Currency] == 0 {
				o.Funds.Amounts = append(o.Funds.Amounts, amount{Currency: a.Currency})
			}
			sums[a.Currency] += a.Refund
		}
	}
	for i, a := range o.Funds.Amounts {
		o.Funds.Amounts[i].Amount = sums[a.Currency]
	}
	return nil
}

func (c *Console) countOwed(ctx context.Context, o *overview) (err error) {
	if o.Owed, err = c.cfg.Refunds.CountRefunds(ctx, refund.Filter{Undelivered: true}); err != nil {
		return err
	}
	long := refund.Filter{States: []refund.State{refund.Processing}, Until: c.now().Add(-slowAfter)}
	o.Slow, err = c.cfg.Refunds.CountRefunds(ctx, long)
	return err
}

func (c *Console) seeTimer(ctx context.Context, o *overview) error {
	seen, err := c.cfg.Refunds.Timer(ctx)
	o.Timer = timer{Seen: stamp(seen.Seen), Stands: seen.Stands, Behind: seen.Behind, Ahead: seen.Ahead}
	return err
}
