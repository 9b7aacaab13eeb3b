package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"wxrefund/shared/console"
	"wxrefund/shared/sandbox/bill"
	"wxrefund/shared/sandbox/world"
)

// A MerchantBill is what the merchant's side has found of one day's bill.
type MerchantBill struct {
	Date       string `json:"date"`  // 2006-01-02
	State      string `json:"state"` // unread, reading, agrees, waiting, differs, unreadable, unavailable
	Why        string `json:"why,omitempty"`
	Currency   string `json:"currency,omitempty"`
	Refunds    int64  `json:"refunds"` // of the bill that are the merchant's
	Fen        int64  `json:"fen"`     // their amount, in the currency's minor units
	Ledger     int64  `json:"ledger"`  // what the ledger has of that day
	Equal      int64  `json:"equal"`
	Differs    int64  `json:"differs"`
	OursOnly   int64  `json:"ours_only"`
	TheirsOnly int64  `json:"theirs_only"`
	ToAsk      int64  `json:"to_ask"`
}

// MerchantBills reads what the merchant's side has found of the days from since on to the
// one before today, the newest first.
type MerchantBills func(ctx context.Context, since, until string) ([]MerchantBill, error)

// shownBills is how many days are shown at most.
const shownBills = 7

// bills holds what was read last: nothing is read again before something has changed.
type bills struct {
	stale atomic.Bool // something has changed since

	mu      sync.Mutex // of all that follows
	today   string     // as it was read
	reports []MerchantBill
	failure error
	failed  time.Time // real
}

// billsAgain is how long is waited after a failure.
const billsAgain = 2 * time.Second

// MerchantBillsChanged tells that the merchant's side has found something of a day's bill. It
// may be called at any time and does not block.
func (d *Door) MerchantBillsChanged() {
	d.bills.stale.Store(true)
	d.world.Broadcast()
}

// billReports are those of the days that have ended since the sandbox began.
func (d *Door) billReports(ctx context.Context) ([]MerchantBill, error) {
	x := &d.bills
	x.mu.Lock()
	defer x.mu.Unlock()
	now := world.Midnight(d.world.Now())
	today := now.Format(time.DateOnly)
	if d.cfg.MerchantBills == nil || !x.stale.Load() && x.today == today || x.failure != nil && time.Since(x.failed) < billsAgain {
		return x.reports, x.failure
	}
	since := now.AddDate(0, 0, -shownBills)
	if born := world.Midnight(d.world.Born()); born.After(since) {
		since = born
	}
	x.stale.Store(false) // first, so that no change is missed
	reports, failure := []MerchantBill{}, error(nil)
	if since.Before(now) {
		ctx, cancel := context.WithTimeout(ctx, merchantTime)
		defer cancel()
		reports, failure = d.cfg.MerchantBills(ctx, since.Format(time.DateOnly), now.AddDate(0, 0, -1).Format(time.DateOnly))
	}
	if x.failure = failure; failure != nil {
		x.stale.Store(true)
		x.failed = time.Now()
		return x.reports, failure
	}
	x.today, x.reports = today, reports
	return reports, nil
}

// viewBill is the file of a day's bill, as WeChat Pay has issued it.
func (d *Door) viewBill(r *http.Request, _ []byte) (any, error) {
	p := console.ReadParams(r)
	day := p.Day("date", d.world.Now().AddDate(0, 0, -1))
	kind := p.Text("kind")
	if err := p.Bad(); err != nil {
		return nil, err
	}
	q := bill.Query{Day: day}
	switch kind {
	case "", "trade":
	case world.AccountBasic, world.AccountOperation:
		q.Account = kind
	default:
		return nil, errors.New("?kind must be one of trade, BASIC, OPERATION")
	}
	f, no := bill.Issue(d.world, q)
	if no != nil {
		return nil, no
	}
	name := fmt.Sprintf("bill-%s-%s.csv", day.Format(time.DateOnly), kindName(kind))
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
		_ = f.Write(w, false) // the client may have gone; that is its affair
	}), nil
}

func kindName(kind string) string {
	if kind == "" {
		return "trade"
	}
	return kind
}
