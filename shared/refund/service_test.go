package refund_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

func TestRefundIsAcceptedAndSettled(t *testing.T) {
	f := setUp(t)
	got := f.must(t, request("R1", 60))
	want := refund.Refund{
		RefundID: "5000R1", OutRefundNo: "R1", TransactionID: "T-O1", OutTradeNo: "O1", Channel: "ORIGINAL",
		CreateTime: "2026-11-22T10:00:00+08:00", Status: refund.StatusProcessing,
		Amount: refund.Amount{Total: 100, Refund: 60, Currency: "CNY"},
	}
	wantEqual(t, "accepted", want, got)
	f.settle(t, notification("R1", 60, refund.StatusSuccess))
	calls := f.up.total()
	want.Status, want.SuccessTime = refund.StatusSuccess, "2026-11-22T10:05:00+08:00"
	for name, l := range map[string]refund.Lookup{
		"refund_id":     {RefundID: "5000R1", OutRefundNo: "other"},
		"out_refund_no": {OutRefundNo: "R1", TransactionID: "other"},
	} {
		got, err := f.QueryRefund(t.Context(), server, l)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "queried by "+name, want, got)
	}
	if got := f.up.total(); got != calls {
		t.Errorf("a final refund was asked of the upstream %d times", got-calls)
	}
}

// A5: the same number with other content is a conflict that names the field, without a call.
func TestSameNumberWithOtherContentIsAConflict(t *testing.T) {
	base := request("R1", 60)
	base.TransactionID, base.Reason, base.FundsAccount = "T-O1", "sold out", "AVAILABLE"
	base.Amount.From = []refund.From{{Account: "AVAILABLE", Amount: 60}}
	base.GoodsDetail = []refund.Goods{{MerchantGoodsID: "g", UnitPrice: 60, RefundAmount: 60, RefundQuantity: 1}}
	for field, change := range map[string]func(*refund.Request){
		"transaction_id": func(r *refund.Request) { r.TransactionID = "T-O2" },
		"out_trade_no":   func(r *refund.Request) { r.OutTradeNo = "O2" },
		"amount.refund":  func(r *refund.Request) { r.Amount.Refund = 50; r.Amount.From = nil },
		"amount.total":   func(r *refund.Request) { r.Amount.Total = 200 },
		"amount.from":    func(r *refund.Request) { r.Amount.From = nil },
		"reason":         func(r *refund.Request) { r.Reason = "broken" },
		"funds_account":  func(r *refund.Request) { r.FundsAccount = "" },
		"goods_detail":   func(r *refund.Request) { r.GoodsDetail = nil },
	} {
		t.Run(field, func(t *testing.T) {
			f := setUp(t)
			f.must(t, base)
			other := base
			change(&other)
			calls := f.up.total()
			e := f.refused(t, other, refund.CodeConflict, refund.Never)
			if !strings.HasPrefix(e.Message, field+" ") {
				t.Errorf("message %q does not name %s", e.Message, field)
			}
			if f.up.total() != calls {
				t.Error("the upstream was called")
			}
		})
	}
}

func TestRepeatReturnsTheStoredAnswerInEveryState(t *testing.T) {
	for _, status := range []refund.Status{refund.StatusProcessing, refund.StatusSuccess, refund.StatusClosed, refund.StatusAbnormal} {
		f := setUp(t)
		f.must(t, request("R1", 60))
		if status != refund.StatusProcessing {
			f.settle(t, notification("R1", 60, status))
		}
		if got := f.must(t, request("R1", 60)); got.Status != status {
			t.Errorf("repeat says %s, want %s", got.Status, status)
		}
		f.wantCalls(t, "refund:R1", 1, "of a refund that is "+string(status))
	}
}

// A6, A8: the same call many times at once is one submission, and all get its answer.
func TestSameCallAtOnceIsOneSubmission(t *testing.T) {
	f := setUp(t)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if got, err := f.Refund(t.Context(), server, request("R1", 60)); err != nil || got.Status != refund.StatusProcessing {
				t.Errorf("got %v, %v", got.Status, err)
			}
		})
	}
	wg.Wait()
	f.wantCalls(t, "refund:R1", 1, "")
}

// A7: of refunds that together exceed the order, exactly as many win as fit.
func TestConcurrentPartialRefundsNeverExceedTheOrder(t *testing.T) {
	for _, c := range []struct {
		name    string
		racers  int
		fen     int64
		winners int32
	}{
		{"60+60 of 100", 2, 60, 1},
		{"64 x 30 of 100", 64, 30, 3},
		{"64 x 1, at most 50", 64, 1, refund.MaxRefunds},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := setUp(t)
			// A platform's deadline: without one, two seconds are left to record an answer,
			// and so many racers need more on a busy machine.
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var won atomic.Int32
			var wg sync.WaitGroup
			for i := range c.racers {
				wg.Go(func() {
					_, err := f.Refund(ctx, server, request(number(i), c.fen))
					if err == nil {
						won.Add(1)
					} else if !refund.IsCode(err, refund.CodeConflict) {
						t.Errorf("%s: %v", number(i), err)
					}
				})
			}
			wg.Wait()
			if won.Load() != c.winners {
				t.Errorf("%d won, want %d", won.Load(), c.winners)
			}
			if n := f.up.total(); n != int(c.winners) {
				t.Errorf("%d submissions, want %d", n, c.winners)
			}
		})
	}
}

// The rules of an order's account, each with its message.
func TestRefundMustFitTheOrder(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60))
	for name, c := range map[string]struct {
		change func(*refund.Request)
		says   string
	}{
		"over the rest": {func(r *refund.Request) { r.Amount.Refund = 41 }, "amount.refund is more than what is left"},
		"other total":   {func(r *refund.Request) { r.Amount.Total = 99 }, "amount.total differs"},
	} {
		req := request("R2", 40)
		c.change(&req)
		if e := f.refused(t, req, refund.CodeConflict, refund.Never); !strings.Contains(e.Message, c.says) {
			t.Errorf("%s: message %q, want %q", name, e.Message, c.says)
		}
	}
	f.must(t, request("R2", 40))
}

// A denied call reaches neither ledger nor upstream. The denial names the setting that
// decides and gives no openid away: in the log, that of a denied user stands in full in
// one attribute alone.
func TestDeniedCallReachesNeitherLedgerNorChannel(t *testing.T) {
	const (
		may        = "this caller may not refund or query: "
		noIdentity = may + "it has no identity here: it is a client without an openid, or comes by HTTP, where headers such as x-wx-openid are not believed: REFUND_SERVER_TOKEN gives an identity there or, behind a gateway that strips and sets them, TRUST_WX_HEADERS"
	)
	user := refund.Caller{Kind: refund.User, OpenID: "oUser"}
	operator := refund.Caller{Kind: refund.User, OpenID: "oOperator"}
	much, eur := request("R1", 51), request("R1", 10)
	eur.Amount.Currency = "EUR"
	for name, c := range map[string]struct {
		caller       refund.Caller
		req          refund.Request
		says, logged string
	}{
		"a user":                           {user, request("R1", 10), may + "its openid is not in REFUND_OPERATORS", `caller="user ****" openid=oUser`},
		"an endless openid":                {refund.Caller{Kind: refund.User, OpenID: strings.Repeat("o", 1000)}, request("R1", 10), may + "its openid is not in REFUND_OPERATORS", `caller="user oo****oo"` + "\n"},
		"a user without an openid":         {refund.Caller{Kind: refund.User}, request("R1", 10), noIdentity, `caller="user ****" openid=""`},
		"nobody":                           {refund.Caller{}, request("R1", 10), noIdentity, "caller=nobody\n"},
		"nobody with an operator's openid": {refund.Caller{OpenID: "oOperator"}, request("R1", 10), noIdentity, "caller=nobody\n"},
		"an unknown source":                {refund.Caller{Kind: refund.Unlisted, Source: "wx_new,other"}, request("R1", 10), may + `its source "wx_new,other" is not in REFUND_SERVER_SOURCES`, `caller="unlisted source" source="\"wx_new,other\""`},
		"a source of poison":               {refund.Caller{Kind: refund.Unlisted, Source: "a\nb\"c退" + strings.Repeat("x", 300)}, request("R1", 10), may + `its source "a?b?c?` + strings.Repeat("x", 56) + `..." is not in REFUND_SERVER_SOURCES`, `source="\"a?b?c`},
		"too much":                         {operator, much, "amount.refund is more than this caller may refund: REFUND_MAX_FEN is 50", `out_refund_no=R1 caller="user oO****or"` + "\n"},
		"another currency":                 {operator, eur, "amount.currency must be CNY for this caller, since REFUND_MAX_FEN is set", `caller="user oO****or"` + "\n"},
	} {
		f := setUp(t)
		f.Ledger = forbidden{t: t}
		f.Policy = refund.Policy{Operators: []string{"oOperator"}, MaxFen: 50}
		_, err := f.Refund(t.Context(), c.caller, c.req)
		if e := wantCode(t, err, refund.CodeDenied, refund.Never); e.Message != c.says {
			t.Errorf("%s: got %q, want %q", name, e.Message, c.says)
		}
		if got := f.log.String(); !strings.Contains(got, "msg=denied") || !strings.Contains(got, c.logged) || strings.Count(got, "\n") != 1 {
			t.Errorf("%s: got %q, want one denial with %s", name, got, c.logged)
		}
		if strings.HasPrefix(c.says, may) {
			_, err = f.QueryRefund(t.Context(), c.caller, refund.Lookup{OutRefundNo: "R1"})
			wantCode(t, err, refund.CodeDenied, refund.Never)
			_, err = f.QueryOrder(t.Context(), c.caller, refund.Lookup{OutTradeNo: "O1"})
			wantCode(t, err, refund.CodeDenied, refund.Never)
		}
		if n := f.up.total(); n != 0 {
			t.Errorf("%s: the upstream was called %d times", name, n)
		}
		rest := strings.ReplaceAll(f.log.String(), " openid=oUser\n", "\n")
		if strings.Contains(rest, "oUser") || strings.Contains(rest, "oOperator") {
			t.Errorf("%s: the log holds an openid in full where it does not belong:\n%s", name, f.log)
		}
	}
}

func TestOperatorMayRefundAndQuery(t *testing.T) {
	f := setUp(t)
	f.Policy = refund.Policy{Operators: []string{"oOperator"}, MaxFen: 50}
	operator := refund.Caller{Kind: refund.User, OpenID: "oOperator"}
	if _, err := f.Refund(t.Context(), operator, request("R1", 50)); err != nil {
		t.Error(err)
	}
	if _, err := f.QueryRefund(t.Context(), operator, refund.Lookup{OutRefundNo: "R1"}); err != nil {
		t.Error(err)
	}
	if _, err := f.Refund(t.Context(), server, request("R2", 50)); err != nil {
		t.Error(err)
	}
}

func TestLedgerDownIsUnavailableAndNothingIsSent(t *testing.T) {
	f := setUp(t)
	f.Ledger = broken{}
	if _, err := f.Reconcile(t.Context()); !refund.IsCode(err, refund.CodeUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the timer: %v, want unavailable", err)
	}
	f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.SameNumber)
	_, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O1"})
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	_, err = f.Settle(t.Context(), notification("R1", 60, refund.StatusSuccess))
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	if n := f.up.total(); n != 0 {
		t.Errorf("the upstream was called %d times", n)
	}
}

// A16: the ledger never forgets a number; nothing that holds money expires.
func TestNumberIsNeverForgotten(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 60))
	f.settle(t, notification("R1", 60, refund.StatusSuccess))
	for _, later := range []time.Duration{24 * time.Hour, 30 * 24 * time.Hour, 5 * 365 * 24 * time.Hour} {
		f.later(t, later)
		if got := f.must(t, request("R1", 60)); got.Status != refund.StatusSuccess {
			t.Errorf("after %v: %s", later, got.Status)
		}
		f.refused(t, request("R1", 40), refund.CodeConflict, refund.Never)
	}
	f.wantCalls(t, "refund:R1", 1, "")
}
