package refund_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
)

var (
	server   = refund.Caller{Kind: refund.Server}
	merchant = refund.Merchant{MchID: "1900000109"}
)

// upstream is a small WeChat Pay in memory: one refund a number, and a script
// of what goes wrong on the way.
type upstream struct {
	refund.Channel // what is not answered here is not asked for

	mu      sync.Mutex
	spec    refund.Spec
	refunds map[string]refund.Refund
	calls   []string // refund:NO and query:NO, in order
	// before and after are called before and after a refund is accepted: their error
	// is what the caller gets to see.
	before, after func(req refund.Request) error
	onQuery       func(l refund.Lookup) // called before a query is answered
	queryErr      error
	listed        func() refund.Page   // the answer to queries by order; nil: there is none
	named         func(*refund.Refund) // changes what an accepted refund is reported as
	slow          time.Duration        // of each query
	bill          func(refund.BillQuery) (*refund.Bill, error)
	orders        map[string]refund.PaidOrder // by out_trade_no and by transaction_id; nil: orders cannot be asked about
	orderErr      error
	finish        func(refund.AbnormalRequest) error // called before what finishes an abnormal refund is accepted
}

func newUpstream() *upstream {
	return &upstream{refunds: map[string]refund.Refund{}, spec: refund.Spec{
		Name: "test", NumberChars: "_-|*@",
		OutRefundNo: refund.Length{Min: 1, Max: 64}, OutTradeNo: refund.Length{Min: 1, Max: 32},
		TransactionID: refund.Length{Min: 1, Max: 32}, Reason: refund.Length{Min: 1, Max: 80},
		Currencies: []string{"CNY"}, FundsAccounts: []string{"AVAILABLE"}, FromAccounts: []string{"AVAILABLE", "UNAVAILABLE"}, Goods: true,
	}}
}

// paid lets the upstream be asked about an order, of so many fen and by whom it was paid.
func (u *upstream) paid(out string, total int64, openid string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.spec.OrderLookups = []string{"transaction_id", "out_trade_no"}
	if u.orders == nil {
		u.orders = map[string]refund.PaidOrder{}
	}
	o := refund.PaidOrder{
		TransactionID: "T-" + out, OutTradeNo: out, Status: refund.OrderPaid,
		Payers: []refund.Payer{{AppID: "wx1", OpenID: openid}}, Total: total, Currency: "CNY", PaidAt: at,
	}
	u.orders[out], u.orders["T-"+out] = o, o
}

// change changes what the upstream tells of an order.
func (u *upstream) change(out string, change func(*refund.PaidOrder)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	o := u.orders[out]
	change(&o)
	u.orders[out], u.orders["T-"+out] = o, o
}

func (u *upstream) Order(_ context.Context, l refund.Lookup) (refund.PaidOrder, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	no := l.TransactionID
	if no == "" {
		no = l.OutTradeNo
	}
	u.calls = append(u.calls, "order:"+no)
	if u.orderErr != nil {
		return refund.PaidOrder{}, u.orderErr
	}
	o, ok := u.orders[no]
	if !ok {
		return o, &refund.Error{Code: refund.CodeNotFound, Next: refund.AfterFix, Upstream: "ORDER_NOT_EXIST", Message: "no such order"}
	}
	return o, nil
}

func (u *upstream) FinishAbnormal(_ context.Context, a refund.AbnormalRequest) (refund.Refund, error) {
	u.mu.Lock()
	u.calls = append(u.calls, "finish:"+a.RefundID)
	finish := u.finish
	u.mu.Unlock()
	if finish != nil {
		if err := finish(a); err != nil {
			return refund.Refund{}, err
		}
	}
	return u.set(a.OutRefundNo, refund.StatusProcessing), nil
}

func (u *upstream) Bill(_ context.Context, q refund.BillQuery) (*refund.Bill, error) {
	if u.bill == nil {
		return nil, refund.ErrNoBill
	}
	return u.bill(q)
}

func (u *upstream) Spec() refund.Spec { return u.spec }

// byOrder lets the upstream be asked about orders. It knows of none.
func (u *upstream) byOrder() {
	u.spec.Lookups = []string{"out_refund_no", "out_trade_no", "transaction_id"}
}

func (u *upstream) Refund(_ context.Context, req refund.Request) (refund.Refund, error) {
	u.mu.Lock()
	u.calls = append(u.calls, "refund:"+req.OutRefundNo)
	before, after := u.before, u.after
	u.mu.Unlock()
	if before != nil {
		if err := before(req); err != nil {
			return refund.Refund{}, err
		}
	}
	u.mu.Lock()
	r, ok := u.refunds[req.OutRefundNo]
	if !ok {
		r = refund.Refund{
			RefundID: "5000" + req.OutRefundNo, OutRefundNo: req.OutRefundNo,
			TransactionID: req.TransactionID, OutTradeNo: req.OutTradeNo,
			CreateTime: "2026-11-22T10:00:00+08:00", Status: refund.StatusProcessing, Channel: "ORIGINAL",
			Amount: refund.Amount{Total: req.Amount.Total, Refund: req.Amount.Refund, Currency: "CNY"},
		}
		if r.TransactionID == "" {
			r.TransactionID = "T-" + r.OutTradeNo
		}
		if r.OutTradeNo == "" {
			r.OutTradeNo = r.TransactionID[2:]
		}
		if u.named != nil {
			u.named(&r)
		}
		u.refunds[req.OutRefundNo] = r
	}
	u.mu.Unlock()
	if after != nil {
		if err := after(req); err != nil {
			return refund.Refund{}, err
		}
	}
	return r, nil
}

func (u *upstream) Query(_ context.Context, l refund.Lookup) (refund.Page, error) {
	if u.onQuery != nil {
		u.onQuery(l)
	}
	time.Sleep(u.slow)
	if l.ByOrder() && u.listed != nil {
		return u.listed(), nil
	}
	no := l.OutRefundNo
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls = append(u.calls, "query:"+no)
	if u.queryErr != nil {
		return refund.Page{}, u.queryErr
	}
	r, ok := u.refunds[no]
	if !ok {
		return refund.Page{}, &refund.Error{Code: refund.CodeNotFound, Next: refund.AfterFix, Upstream: "RESOURCE_NOT_EXISTS", Message: "no such refund"}
	}
	return refund.Page{Refunds: []refund.Refund{r}}, nil
}

// set moves a refund on the upstream's side.
func (u *upstream) set(no string, status refund.Status) refund.Refund {
	u.mu.Lock()
	defer u.mu.Unlock()
	r := u.refunds[no]
	r.Status = status
	if status == refund.StatusSuccess {
		r.SuccessTime = "2026-11-22T10:05:00+08:00"
	}
	u.refunds[no] = r
	return r
}

func (u *upstream) count(call string) (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.calls {
		if c == call {
			n++
		}
	}
	return n
}

func (u *upstream) total() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.calls)
}

// refusal is the answer of an upstream that refuses for certain.
func refusal(code refund.Code, next refund.Next, name string) func(refund.Request) error {
	return func(refund.Request) error {
		return &refund.Error{Code: code, Next: next, Upstream: name, Message: "refused: " + name}
	}
}

func noAnswer(refund.Request) error {
	return &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "no answer"}
}

// A subscriber remembers what it is told and answers as its script says.
type subscriber struct {
	mu     sync.Mutex
	told   []refund.Event
	answer func(ctx context.Context, n refund.Event) error // nil: it acknowledges everything
}

func (s *subscriber) tell(ctx context.Context, n refund.Event) error {
	s.mu.Lock()
	s.told = append(s.told, n)
	answer := s.answer
	s.mu.Unlock()
	if answer == nil {
		return nil
	}
	return answer(ctx, n)
}

func (s *subscriber) events() []refund.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told)
}

// heard lists the events in short: OUT_REFUND_NO STATUS.
func (s *subscriber) heard() (lines []string) {
	for _, e := range s.events() {
		lines = append(lines, fmt.Sprintf("%s %s", e.Refund.OutRefundNo, e.Status))
	}
	return lines
}

var errFailing = errors.New("it does not answer")

func failing(context.Context, refund.Event) error { return errFailing }

// fixture is a service on a real SQLite ledger and the small upstream.
type fixture struct {
	*refund.Service
	up      *upstream
	log     *syncBuffer
	advance func(time.Duration) // moves the clock of a fixture that is clocked
}

func setUp(t *testing.T) *fixture {
	t.Helper()
	store, err := ledger.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	up, log := newUpstream(), &syncBuffer{}
	return &fixture{
		up: up, log: log,
		Service: &refund.Service{
			Channel: up, Ledger: store, Merchant: merchant,
			Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		},
	}
}

// clocked is a fixture whose clock the test moves.
func clocked(t *testing.T) *fixture {
	t.Helper()
	f := setUp(t)
	var mu sync.Mutex
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	f.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	f.advance = func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
	return f
}

// subscribe adds a subscriber under a name.
func (f *fixture) subscribe(name string) *subscriber {
	s := &subscriber{}
	f.Subscribers = append(f.Subscribers, refund.Subscriber{Name: name, Tell: s.tell})
	return s
}

// must refunds what is to be accepted.
func (f *fixture) must(t *testing.T, req refund.Request) refund.Refund {
	t.Helper()
	got, err := f.Refund(t.Context(), server, req)
	if err != nil {
		t.Fatalf("refund %s: %v", req.OutRefundNo, err)
	}
	return got
}

// refused refunds what is to be refused, and returns why.
func (f *fixture) refused(t *testing.T, req refund.Request, code refund.Code, next refund.Next) *refund.Error {
	t.Helper()
	_, err := f.Refund(t.Context(), server, req)
	return wantCode(t, err, code, next)
}

// crashed refunds in a process that dies at the upstream's before or after.
func (f *fixture) crashed(t *testing.T, req refund.Request) {
	t.Helper()
	defer func() { _ = recover() }()
	_, _ = f.Refund(t.Context(), server, req)
}

func killed(refund.Request) error { panic("killed") }

// settle settles an outcome that is to be accepted.
func (f *fixture) settle(t *testing.T, out refund.Outcome) {
	t.Helper()
	if _, err := f.Settle(t.Context(), out); err != nil {
		t.Fatal(err)
	}
}

// query asks about a refund, which is to be answered.
func (f *fixture) query(t *testing.T, no string) refund.Refund {
	t.Helper()
	got, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: no})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// reconcile runs the timer once.
func (f *fixture) reconcile(t *testing.T) refund.Summary {
	t.Helper()
	summary, err := f.Reconcile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return summary
}

// later lets time pass, and runs the timer.
func (f *fixture) later(t *testing.T, d time.Duration) {
	t.Helper()
	f.advance(d)
	f.reconcile(t)
}

// wait lets the timer run every ten minutes for so long.
func (f *fixture) wait(t *testing.T, d time.Duration) {
	t.Helper()
	for range d / (10 * time.Minute) {
		f.later(t, 10*time.Minute)
	}
}

// status reads what the ledger says of a refund of order O1; absent: "-", no status: "?".
func (f *fixture) status(t *testing.T, no string) string {
	t.Helper()
	p, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O1"})
	if err != nil && !refund.IsCode(err, refund.CodeNotFound) {
		t.Fatal(err)
	}
	i := slices.IndexFunc(p.Refunds, func(r refund.Refund) bool { return r.OutRefundNo == no })
	switch {
	case i < 0:
		return "-"
	case p.Refunds[i].Status == "":
		return "?"
	}
	return string(p.Refunds[i].Status)
}

// wantStatus checks what [fixture.status] says, at a point of the test that when names.
func (f *fixture) wantStatus(t *testing.T, no, want, when string) {
	t.Helper()
	if got := f.status(t, no); got != want {
		t.Errorf("%s is %s, want %s %s", no, got, want, when)
	}
}

// wantState checks the state of a refund's record.
func (f *fixture) wantState(t *testing.T, no string, want refund.State, when string) {
	t.Helper()
	if got := f.inspect(t, no).State; got != want {
		t.Errorf("%s is %s, want %s %s", no, got, want, when)
	}
}

// wantCalls checks how often the upstream was called, see [upstream.count].
func (f *fixture) wantCalls(t *testing.T, call string, want int, when string) {
	t.Helper()
	if got := f.up.count(call); got != want {
		t.Errorf("%d calls %s, want %d %s", got, call, want, when)
	}
}

// wantAlarms checks how many alarms of a code there were.
func (f *fixture) wantAlarms(t *testing.T, code string, want int, when string) {
	t.Helper()
	if got := f.alarms(code); got != want {
		t.Errorf("%d alarms %s, want %d %s", got, code, want, when)
	}
}

func (f *fixture) inspect(t *testing.T, no string) refund.Inspection {
	t.Helper()
	all, err := f.Inspect(t.Context(), no)
	if err != nil || len(all) != 1 {
		t.Fatalf("inspect %s: %d, %v", no, len(all), err)
	}
	return all[0]
}

// items reads what the ledger holds.
func (f *fixture) items(t *testing.T, keys ...refund.Key) []refund.Item {
	t.Helper()
	items, err := f.Ledger.Get(t.Context(), keys...)
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// write changes what the ledger holds.
func (f *fixture) write(t *testing.T, items ...refund.Item) {
	t.Helper()
	if err := f.Ledger.Commit(t.Context(), items...); err != nil {
		t.Fatal(err)
	}
}

// alarms counts the alarms that were logged: all, or those of a code.
func (f *fixture) alarms(code string) (n int) {
	for line := range strings.Lines(f.log.String()) {
		if strings.Contains(line, "msg=alarm ") && (code == "" || strings.Contains(line, "alarm="+code+" ")) {
			n++
		}
	}
	return n
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// request is a valid refund of order O1, 100 fen.
func request(no string, fen int64) refund.Request {
	return refund.Request{
		OutRefundNo: no, OutTradeNo: "O1",
		Amount: refund.RequestAmount{Refund: fen, Total: 100, Currency: "CNY"},
	}
}

// notification is a notification of a refund of order O1.
func notification(no string, fen int64, status refund.Status) refund.Outcome {
	r := refund.Refund{
		RefundID: "5000" + no, OutRefundNo: no, TransactionID: "T-O1", OutTradeNo: "O1", Status: status,
		Amount: refund.Amount{Total: 100, Refund: fen},
	}
	if status == refund.StatusSuccess {
		r.SuccessTime = "2026-11-22T10:05:00+08:00"
	}
	return refund.Outcome{Source: refund.Notification, OutRefundNo: no, Merchant: merchant, EventID: "E-" + no + string(status), Refund: r}
}

// wantEqual checks what a test has got.
func wantEqual(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func wantCode(t *testing.T, err error, code refund.Code, next refund.Next) *refund.Error {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", code)
	}
	e := refund.AsError(err)
	if e.Code != code || e.Next != next {
		t.Fatalf("error %s/%s (%v), want %s/%s", e.Code, e.Next, e, code, next)
	}
	return e
}

func number(i int) string { return fmt.Sprintf("R%d", i) }

// forbidden is a ledger that must not be reached.
type forbidden struct {
	refund.Ledger
	t *testing.T
}

func (l forbidden) Get(context.Context, ...refund.Key) ([]refund.Item, error) {
	l.t.Error("the ledger was read")
	return nil, context.Canceled
}

func (l forbidden) Commit(context.Context, ...refund.Item) error {
	l.t.Error("the ledger was written")
	return context.Canceled
}

type broken struct{ refund.Ledger }

func (broken) Get(context.Context, ...refund.Key) ([]refund.Item, error) {
	return nil, context.DeadlineExceeded
}

func (broken) Commit(context.Context, ...refund.Item) error { return context.DeadlineExceeded }

func (broken) List(context.Context, refund.Index, string, int) ([]refund.Item, string, error) {
	return nil, "", context.DeadlineExceeded
}

func (broken) Count(context.Context, refund.Index) (int64, error) { return 0, context.DeadlineExceeded }

// hindered does something before each commit that it lets through.
type hindered struct {
	refund.Ledger
	before func() error
}

func (h *hindered) Commit(ctx context.Context, items ...refund.Item) error {
	if err := h.before(); err != nil {
		return err
	}
	return h.Ledger.Commit(ctx, items...)
}
