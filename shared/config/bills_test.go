package config_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/config"
	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// billed is a sandbox, and a system that is configured for it over a channel; "cloudbase
// with keys" has APIv3 keys beside the module. Two refunds of a day have been accepted,
// R1 through the system and H1 by hand, and its bill is issued.
func billed(t *testing.T, of string) (w *sandboxtest.World, sys *config.System, day refund.Day) {
	t.Helper()
	name, keys := strings.CutSuffix(of, " with keys")
	name, provider := strings.CutSuffix(name, " of a provider")
	w = sandboxtest.New(t)
	plain := httptest.NewServer(w.Sandbox.WeChat())
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(w.Sandbox.WeChat())
	secure.TLS = w.Sandbox.TLSConfig()
	secure.StartTLS()
	t.Cleanup(secure.Close)
	w.Sandbox.SetURLs(sandbox.URLs{WeChat: plain.URL, WeChatTLS: secure.URL})
	settings := w.SettingsOf(name)
	if keys {
		v3 := w.SettingsOf("apiv3")
		for _, k := range []string{"WXPAY_SERIAL_NO", "WXPAY_PRIVATE_KEY", "WXPAY_APIV3_KEY", "WXPAY_PUBLIC_KEY_ID", "WXPAY_PUBLIC_KEY", "WXPAY_BASE_URL"} {
			settings[k] = v3[k]
		}
	}
	if provider {
		settings["WXPAY_SUB_MCHID"] = w.SettingsOf("cloudpay")["WXPAY_SUB_MCHID"]
	}
	settings["LEDGER_URL"] = "sqlite::memory:"
	sys, err := load(t, settings)
	if err != nil {
		t.Fatal(err)
	}
	w.Run()
	for _, no := range []string{"R1", "H1"} {
		w.Order("order-" + no)
		_, err := sys.Refunds.Channel.Refund(t.Context(), refund.Request{
			OutRefundNo: no, OutTradeNo: "order-" + no, Reason: "tea, \"green\"",
			Amount: refund.RequestAmount{Refund: 129, Total: 10000, Currency: "CNY"},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	d, err := refund.ParseDay(w.Issued())
	if err != nil {
		t.Fatal(err)
	}
	w.Advance("24h") // and that of the next
	return w, sys, d
}

var billChannels = []string{"apiv3", "apiv3 of a provider", "cloudbase with keys", "global", "cloudpay", "wecom"}

// Every channel fetches the bill of a day from the sandbox, whatever is odd in it.
func TestEveryChannelReadsTheSandboxsBill(t *testing.T) {
	for _, of := range billChannels {
		t.Run(of, func(t *testing.T) {
			w, sys, day := billed(t, of)
			merchant := sys.Refunds.Merchant
			for _, fault := range []string{"", "old_layout", "odd_names"} {
				if fault != "" {
					w.Control("POST", "/_sandbox/faults", fmt.Sprintf(`{"bill":%q,"count":1}`, fault), 200)
				}
				b, err := sys.Refunds.Channel.Bill(t.Context(), refund.BillQuery{Day: day, Kind: refund.TradeBill})
				if err != nil {
					t.Fatalf("%s: %v", fault, err)
				}
				var found []string
				for row, err := range b.Refunds {
					if err != nil {
						t.Fatal(err)
					}
					found = append(found, row.OutRefundNo)
					if row.Amount != 129 || row.Refunded != 129 || row.Currency != "CNY" || row.SubMchID != merchant.SubMchID || merchant.MchID != "" && row.MchID != merchant.MchID ||
						row.OutTradeNo != "order-"+row.OutRefundNo || row.Status != refund.StatusSuccess && row.Status != refund.StatusProcessing || refund.DayOf(row.AcceptedAt) != day {
						t.Errorf("%s: row %+v", fault, row)
					}
				}
				if slices.Sort(found); !slices.Equal(found, []string{"H1", "R1"}) || b.Empty || !strings.HasPrefix(b.Hash, "sha1:") {
					t.Errorf("%s: %v, empty %v, hash %s", fault, found, b.Empty, b.Hash)
				}
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// What is wrong with a bill is told as what it is, and never as an empty day.
func TestEveryChannelTellsTheSandboxsBillFaults(t *testing.T) {
	for _, of := range billChannels {
		t.Run(of, func(t *testing.T) {
			w, sys, day := billed(t, of)
			ticket := !strings.Contains("global cloudpay", of) // others get no hash and no address
			q := refund.BillQuery{Day: day, Kind: refund.TradeBill}
			for _, tt := range []struct {
				fault      string
				applies    bool
				unreadable bool
				code       refund.Code
			}{
				{"wrong_hash", ticket, true, refund.CodeUnavailable}, {"cut_off", true, true, refund.CodeUnavailable},
				{"foreign_host", ticket, true, refund.CodeUnavailable}, {"bad_row", true, true, refund.CodeUnavailable},
				{"bad_sums", true, true, refund.CodeUnavailable}, {"creating", true, false, refund.CodeUnavailable},
				{"no_auth", true, false, refund.CodeRejected},
			} {
				if !tt.applies {
					continue
				}
				w.Control("POST", "/_sandbox/faults", fmt.Sprintf(`{"bill":%q}`, tt.fault), 200)
				b, err := sys.Refunds.Channel.Bill(t.Context(), q)
				e := refund.AsError(err)
				code := e.Code == tt.code || tt.fault == "no_auth" && e.Code == refund.CodeUnavailable && e.Upstream != ""
				if b != nil || errors.Is(err, refund.ErrBillUnreadable) != tt.unreadable || !code || tt.fault == "creating" && e.RetryAfter < time.Minute {
					t.Errorf("%s: %+v, error %v", tt.fault, b, err)
				}
				w.Control("DELETE", "/_sandbox/faults", "", 200)
			}
			w.Control("POST", "/_sandbox/faults", `{"bill":"empty_day","count":1}`, 200)
			if b, err := sys.Refunds.Channel.Bill(t.Context(), q); err != nil || !b.Empty {
				t.Errorf("an empty day: %+v, error %v", b, err)
			}
			if b, err := sys.Refunds.Channel.Bill(t.Context(), refund.BillQuery{Day: day.Add(-10), Kind: refund.TradeBill}); err != nil || !b.Empty {
				t.Errorf("a day without trade: %+v, error %v", b, err)
			}
			if _, err := sys.Refunds.Channel.Bill(t.Context(), refund.BillQuery{Day: day.Add(3), Kind: refund.TradeBill}); err == nil {
				t.Error("a day to come has a bill")
			}
		})
	}
}

// The money of each refund is in the bill of an account.
func TestTheSandboxsBillsOfAccountsAreRead(t *testing.T) {
	for _, of := range []string{"apiv3", "cloudbase with keys"} {
		_, sys, day := billed(t, of)
		var found []string
		for _, account := range sys.Refunds.Channel.Spec().BillAccounts {
			for _, d := range []refund.Day{day, day.Add(1)} {
				b, err := sys.Refunds.Channel.Bill(t.Context(), refund.BillQuery{Day: d, Kind: refund.FundsBill, Account: account})
				if err != nil {
					t.Fatalf("%s, %s: %v", of, account, err)
				}
				for m, err := range b.Movements {
					if err != nil {
						t.Fatal(err)
					}
					found = append(found, fmt.Sprint(m.Amount, " ", m.By, " ", m.Closure))
				}
			}
		}
		if !slices.Equal(found, []string{"129 system false", "129 system false"}) {
			t.Errorf("%s: %q", of, found)
		}
	}
}

// Yen have no smaller unit, and the bill from abroad writes them so.
func TestTheSandboxsBillFromAbroadHasOtherCurrencies(t *testing.T) {
	w, sys, _ := billed(t, "global")
	for currency, fen := range map[string]int64{"JPY": 1200, "KRW": 9, "HKD": 1205} {
		w.Pay(fmt.Sprintf(`{"out_trade_no":"order-%s","total":10000,"currency":%q}`, currency, currency))
		_, err := sys.Refunds.Channel.Refund(t.Context(), refund.Request{
			OutRefundNo: currency, OutTradeNo: "order-" + currency, Amount: refund.RequestAmount{Refund: fen, Total: 10000, Currency: currency},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	day, err := refund.ParseDay(w.Issued())
	if err != nil {
		t.Fatal(err)
	}
	b, err := sys.Refunds.Channel.Bill(t.Context(), refund.BillQuery{Day: day, Kind: refund.TradeBill})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got := map[string]int64{}
	for row, err := range b.Refunds {
		if err != nil {
			t.Fatal(err)
		}
		if got[row.Currency] = row.Amount; row.OutRefundNo != row.Currency {
			t.Errorf("%+v", row)
		}
	}
	if want := map[string]int64{"JPY": 1200, "KRW": 9, "HKD": 1205}; !maps.Equal(got, want) {
		t.Errorf("amounts %v, want %v", got, want)
	}
}

// Over every channel a day is held against the ledger: of two refunds we made one, and
// somebody the other by hand, of which no notification came: it is taken over.
func TestEveryChannelsDayIsHeldAgainstTheLedger(t *testing.T) {
	for _, of := range billChannels {
		t.Run(of, func(t *testing.T) {
			w, sys, _ := billed(t, of)
			s := sys.Refunds
			s.Now = w.Sandbox.Now
			w.Control("POST", "/_sandbox/faults", `{"notify":"lose"}`, 200)
			of := ""
			if sub := s.Merchant.SubMchID; sub != "" {
				of = fmt.Sprintf(`,"sub_mchid":%q`, sub)
			}
			for _, no := range []string{"R2", "H2"} {
				w.Pay(fmt.Sprintf(`{"out_trade_no":"order-%s","total":10000%s}`, no, of))
			}
			_, err := s.Refund(t.Context(), refund.Caller{Kind: refund.Server}, refund.Request{
				OutRefundNo: "R2", OutTradeNo: "order-R2", Amount: refund.RequestAmount{Refund: 129, Total: 10000, Currency: "CNY"},
			})
			if err != nil {
				t.Fatal(err)
			}
			w.Control("POST", "/_sandbox/refunds", `{"out_trade_no":"order-H2","out_refund_no":"H2","amount":129}`, 200)
			day, err := refund.ParseDay(w.Issued())
			if err != nil {
				t.Fatal(err)
			}
			w.Advance("24h")
			r, err := s.ReadBill(t.Context(), refund.BillInput{Caller: refund.Caller{Kind: refund.Server}, Day: day})
			if err != nil || r.State != refund.BillAgrees || r.Equal != 1 || r.TheirsOnly != 1 || r.Fen.Bill != 258 || r.Fen.Ledger != 258 || r.Differs+r.OursOnly+r.Skipped != 0 {
				t.Errorf("error %v, report %+v", err, r)
			}
			if slices.Contains(s.Channel.Spec().Bills, refund.FundsBill) && (r.Funds == nil || r.Funds.State != refund.BillAgrees || r.Funds.Proved != 2 || r.Funds.ByHand != 1) {
				t.Errorf("funds %+v", r.Funds)
			}
		})
	}
}
