package sandbox_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// An upstream is one of the five systems as a merchant uses it, for rules that all
// of them hold.
type upstream struct {
	refund func(w *sandboxtest.World, names map[string]string, number string, fen int) outcome
	query  func(w *sandboxtest.World, number string) outcome
}

// An outcome is an answer, whatever it was written in: the code of a refusal and
// its words, or what the refund is.
type outcome struct {
	code, words        string
	order, transaction string
	fen                string
	body               string
}

var upstreams = map[string]upstream{
	"apiv3": {
		refund: func(w *sandboxtest.World, names map[string]string, number string, fen int) outcome {
			return readV3(w.Call("POST", sandboxtest.RefundsPath, refundBody(names, number, fen)))
		},
		query: func(w *sandboxtest.World, number string) outcome {
			return readV3(w.Call("GET", sandboxtest.RefundsPath+"/"+number, ""))
		},
	},
	"cloudbase": {
		refund: func(w *sandboxtest.World, names map[string]string, number string, fen int) outcome {
			_, out := w.Module("wxpay_refund", refundBody(names, number, fen))
			return readV3(out)
		},
		query: func(w *sandboxtest.World, number string) outcome {
			_, out := w.Module("wxpay_refund_query", fmt.Sprintf(`{"params":{"out_refund_no":%q}}`, number))
			return readV3(out)
		},
	},
	"cloudpay": {
		refund: func(w *sandboxtest.World, names map[string]string, number string, fen int) outcome {
			in := map[string]any{"sub_mch_id": "1900000109", "nonce_str": "n", "out_refund_no": number, "total_fee": 10000, "refund_fee": fen}
			for name, value := range names {
				in[name] = value
			}
			b, _ := json.Marshal(in)
			return readPay(w.CloudPay("refund", string(b)))
		},
		query: func(w *sandboxtest.World, number string) outcome {
			return readPay(w.CloudPay("queryRefund", fmt.Sprintf(`{"sub_mch_id":"1900000109","nonce_str":"n","out_refund_no":%q}`, number)))
		},
	},
	"global": {
		refund: func(w *sandboxtest.World, names map[string]string, number string, fen int) outcome {
			change := map[string]string{"out_trade_no": "", "out_refund_no": number, "refund_fee": fmt.Sprint(fen)}
			maps.Copy(change, names)
			return readV2(w.CallV2(sandboxtest.RefundV2, w.GlobalRefund(change)))
		},
		query: func(w *sandboxtest.World, number string) outcome {
			return readV2(w.CallV2(sandboxtest.QueryV2, w.GlobalQuery(map[string]string{"out_refund_no": number})))
		},
	},
	"wecom": {
		refund: func(w *sandboxtest.World, names map[string]string, number string, fen int) outcome {
			return readWeCom(w.WeCom(sandboxtest.WeComPath, fmt.Sprintf(`{"mchid":"1900000001","appid":"wx5a4db0c0ffee0001",%s`, refundBody(names, number, fen)[1:])))
		},
		query: func(w *sandboxtest.World, number string) outcome {
			return readWeCom(w.WeCom(sandboxtest.DetailPath, fmt.Sprintf(`{"mchid":"1900000001","out_refund_no":%q}`, number)))
		},
	},
}

func refundBody(names map[string]string, number string, fen int) string {
	in := map[string]any{"out_refund_no": number, "amount": map[string]any{"refund": fen, "total": 10000, "currency": "CNY"}}
	for name, value := range names {
		in[name] = value
	}
	b, err := json.Marshal(in)
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	return string(b)
}

func readV3(a sandboxtest.Answer) outcome {
	out := outcome{body: string(a.Body)}
	o := func(name string) any { return a.Field(name) }
	if a.Field("code") == 0.0 { // the module's
		o = func(name string) any { return a.Field("data", name) }
	}
	if code, ok := a.Field("code").(string); ok {
		out.code, out.words = code, fmt.Sprint(a.Field("message"))
		return out
	}
	out.order, out.transaction = fmt.Sprint(o("out_trade_no")), fmt.Sprint(o("transaction_id"))
	amount, _ := o("amount").(map[string]any)
	out.fen = fmt.Sprint(amount["refund"])
	return out
}

func readPay(a sandboxtest.Answer) outcome {
	var in map[string]any
	_ = json.Unmarshal(a.Body, &in)
	fields := map[string]string{}
	for name, value := range in {
		fields[name] = fmt.Sprint(value)
	}
	out := readV2(fields)
	out.body = string(a.Body)
	return out
}

func readV2(f map[string]string) outcome {
	fen := f["refund_fee"] + f["refund_fee_0"] // in an answer is one of them
	return outcome{f["err_code"], f["err_code_des"], f["out_trade_no"], f["transaction_id"], fen, fmt.Sprint(f)}
}

func readWeCom(a sandboxtest.Answer) outcome {
	out := outcome{body: string(a.Body)}
	if a.Field("errcode") != 0.0 {
		out.code, out.words = fmt.Sprint(a.Field("errcode")), fmt.Sprint(a.Field("errmsg"))
		return out
	}
	out.fen = fmt.Sprint(a.Field("amount", "refund"))
	if name, ok := a.Field("out_trade_no").(string); ok {
		out.order, out.transaction = name, fmt.Sprint(a.Field("transaction_id"))
	}
	return out
}

// by names an order in a way that every system knows.
func by(outTradeNo string) map[string]string { return map[string]string{"out_trade_no": outTradeNo} }

// transactionA is the other name of ORDER-A.
const transactionA = "4200000000000000000000000001"

// everywhere runs a test on each system, whose module says no as APIv3 does.
func everywhere(t *testing.T, test func(*testing.T, string, upstream, func(...func(*sandbox.Config)) *sandboxtest.World)) {
	for _, name := range slices.Sorted(maps.Keys(upstreams)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test(t, name, upstreams[name], func(mutate ...func(*sandbox.Config)) *sandboxtest.World {
					w := sandboxtest.New(t, append(mutate, func(c *sandbox.Config) { c.ModuleFailure = "passed" })...)
					w.Pay(`{"out_trade_no":"ORDER-A","transaction_id":"` + transactionA + `","total":10000}`)
					w.Order("ORDER-B")
					return w
				})
			})
		})
	}
}

func paced(d time.Duration) func(*sandbox.Config) { return func(c *sandbox.Config) { c.Pace = d } }

// Two refunds of one order are a pace apart on every system, in virtual time. A
// repeat is no second refund, another order has a pace of its own, and what was
// refused leaves no trace: of that each system says in its words that there is none.
func TestRefundsOfOneOrderAreAPaceApartOnEverySystem(t *testing.T) {
	everywhere(t, func(t *testing.T, name string, u upstream, world func(...func(*sandbox.Config)) *sandboxtest.World) {
		want, missing := "FREQUENCY_LIMITED", map[string]string{
			"apiv3": "RESOURCE_NOT_EXISTS", "cloudbase": "RESOURCE_NOT_EXISTS", "cloudpay": "REFUNDNOTEXIST", "global": "REFUNDNOTEXIST", "wecom": "720509",
		}[name]
		if name == "wecom" {
			want = "45009"
		}
		w := world(paced(time.Minute))
		for _, step := range []struct {
			advance, order, number string
			code                   string
		}{
			{"0s", "ORDER-A", "refund-1", ""},
			{"0s", "ORDER-A", "refund-2", want},
			{"0s", "ORDER-A", "refund-1", ""},
			{"0s", "ORDER-B", "refund-3", ""},
			{"58s", "ORDER-A", "refund-2", want},
			{"2s", "ORDER-A", "refund-2", ""},
			{"58s", "ORDER-A", "refund-4", want},
			{"0s", "ORDER-A", "refund-2", ""},
		} {
			w.Advance(step.advance)
			got := u.refund(w, by(step.order), step.number, 100)
			if got.code != step.code || got.code != "" && !strings.Contains(got.words, "单笔订单请求频率过高，请于1分钟后重试") {
				t.Errorf("%+v: got %+v", step, got)
			}
			held := ""
			if got.code != "" {
				held = missing
			}
			if found := u.query(w, step.number); found.code != held {
				t.Errorf("%+v: asked about: got %+v, want %q", step, found, held)
			}
		}
	})
}

// Unless it is said otherwise every system insists on a minute, as the real ones do.
func TestEverySystemInsistsOnAMinuteUnlessTold(t *testing.T) {
	everywhere(t, func(t *testing.T, name string, u upstream, world func(...func(*sandbox.Config)) *sandboxtest.World) {
		for pace, limited := range map[time.Duration]bool{-1: false, 0: true} {
			w := world(paced(pace))
			u.refund(w, by("ORDER-A"), "refund-1", 100)
			if got := u.refund(w, by("ORDER-A"), "refund-2", 100); (got.code != "") != limited {
				t.Errorf("pace %v: got %+v, want it refused: %v", pace, got, limited)
			}
		}
		w := world(paced(10 * time.Second))
		u.refund(w, by("ORDER-A"), "refund-1", 100)
		if got := u.refund(w, by("ORDER-A"), "refund-2", 100); !strings.Contains(got.words, "请于10秒后重试") {
			t.Errorf("pace 10s: got %+v", got)
		}
		w.Advance("10s")
		if got := u.refund(w, by("ORDER-A"), "refund-2", 100); got.code != "" {
			t.Errorf("pace 10s, after it: got %+v", got)
		}
	})
}

// Whoever refunds by hand neither waits nor makes requests wait.
func TestRefundsByHandNeitherWaitNorMakeOthersWait(t *testing.T) {
	everywhere(t, func(t *testing.T, _ string, u upstream, world func(...func(*sandbox.Config)) *sandboxtest.World) {
		w := world(paced(time.Minute))
		hand := func(number string) {
			w.Control("POST", "/_sandbox/refunds", fmt.Sprintf(`{"out_trade_no":"ORDER-A","out_refund_no":%q,"amount":100}`, number), 200)
		}
		hand("hand-1")
		if got := u.refund(w, by("ORDER-A"), "refund-1", 100); got.code != "" {
			t.Errorf("after one by hand: got %+v", got)
		}
		hand("hand-2")
		if got := u.refund(w, by("ORDER-A"), "refund-2", 100); got.code == "" {
			t.Error("the one by hand hides the request before it")
		}
	})
}

// A number is taken once and for all orders: under other content it is refused,
// whoever has made the refund, and a query tells the refund that is there.
func TestARefundNumberIsTakenOnceForAllOrders(t *testing.T) {
	everywhere(t, func(t *testing.T, name string, u upstream, world func(...func(*sandbox.Config)) *sandboxtest.World) {
		want := "INVALID_REQUEST"
		if name == "wecom" {
			want = "720502"
		}
		w := world()
		w.Control("POST", "/_sandbox/refunds", `{"out_trade_no":"ORDER-A","out_refund_no":"hand64","amount":30}`, 200)
		if got := u.refund(w, by("ORDER-A"), "refund64", 30); got.code != "" {
			t.Fatalf("refund64: got %+v", got)
		}
		w.Control("POST", "/_sandbox/refunds/refund64/settle", `{"status":"SUCCESS"}`, 200)
		for _, number := range []string{"refund64", "hand64"} {
			for _, other := range []struct {
				what  string
				names map[string]string
				fen   int
			}{
				{"another order", by("ORDER-B"), 30},
				{"another order and amount", by("ORDER-B"), 10000},
				{"another amount", by("ORDER-A"), 31},
				{"an order that does not exist", by("ORDER-C"), 30},
			} {
				got := u.refund(w, other.names, number, other.fen)
				if got.code != want || !strings.Contains(got.words, "与之前请求不一致") {
					t.Errorf("%s under %s: got %+v, want %s", other.what, number, got, want)
				}
			}
			time.Sleep(time.Second) // so many wrong requests a second are too many
			got := u.query(w, number)
			if got.code != "" || got.order != "ORDER-A" || got.transaction != transactionA || !strings.HasPrefix(got.fen, "30") {
				t.Errorf("query %s: got %+v, want 30 of ORDER-A", number, got)
			}
		}
		if n := strings.Count(string(w.Control("GET", "/_sandbox/refunds", "", 200).Body), "ORDER-B"); n != 0 {
			t.Errorf("%d refunds of ORDER-B", n)
		}
	})
}

// Two names that are not one order's: v2 follows transaction_id and answers with
// the names of that order, APIv3 refuses. WeCom knows one name only.
func TestTwoNamesOfDifferentOrders(t *testing.T) {
	everywhere(t, func(t *testing.T, name string, u upstream, world func(...func(*sandbox.Config)) *sandboxtest.World) {
		w := world()
		u.refund(w, by("ORDER-A"), "refund-1", 100)
		both := map[string]string{"transaction_id": transactionA, "out_trade_no": "ORDER-B"}
		w.Advance("1m")
		got := u.refund(w, both, "refund-2", 100)
		switch name {
		case "global", "cloudpay":
			if got.code != "" || got.order != "ORDER-A" || got.transaction != transactionA {
				t.Errorf("got %+v, want it on ORDER-A", got)
			}
			if again := u.refund(w, by("ORDER-B"), "refund-2", 100); again.code != "INVALID_REQUEST" {
				t.Errorf("then by ORDER-B's name alone: got %+v", again)
			}
		case "apiv3", "cloudbase":
			if got.code != "INVALID_REQUEST" {
				t.Errorf("got %+v, want it refused", got)
			}
		}
	})
}

// Some accounts' queries count refunds and list nothing of them, by whichever
// number; applications are answered as ever, and other systems have no lists.
func TestEmptyListsHideRefundsOfCloudPayAlone(t *testing.T) {
	everywhere(t, func(t *testing.T, name string, u upstream, world func(...func(*sandbox.Config)) *sandboxtest.World) {
		w := world()
		w.Control("POST", "/_sandbox/faults", `{"upstream":"empty_lists"}`, 200)
		if got := u.refund(w, by("ORDER-A"), "refund-1", 100); got.code != "" || got.fen != "100" {
			t.Errorf("refund: got %+v", got)
		}
		got := u.query(w, "refund-1")
		if name != "cloudpay" {
			if got.code != "" || !strings.HasPrefix(got.fen, "100") {
				t.Errorf("query: got %+v", got)
			}
			return
		}
		if got = u.query(w, "refund-9"); got.code != "REFUNDNOTEXIST" {
			t.Errorf("of a refund that does not exist: got %+v", got)
		}
		for _, ask := range []string{`"out_refund_no":"refund-1"`, `"out_trade_no":"ORDER-A"`} {
			a := w.CloudPay("queryRefund", `{"sub_mch_id":"1900000109","nonce_str":"n",`+ask+`}`)
			if a.Field("result_code") != "SUCCESS" || a.Field("refund_count") != 1.0 || a.Field("out_trade_no") != "ORDER-A" || a.Field("total_fee") != 10000.0 {
				t.Errorf("by %s: %s", ask, a.Body)
			}
			for _, list := range []string{"out_refund_no_list", "refund_status_list", "refund_channel", "refund_success_time_list"} {
				if items, ok := a.Field(list).([]any); !ok || len(items) != 0 {
					t.Errorf("by %s: %s = %v, want an empty list", ask, list, a.Field(list))
				}
			}
			if strings.Contains(string(a.Body), "_0") {
				t.Errorf("by %s, something of the refund: %s", ask, a.Body)
			}
		}
		w.Control("DELETE", "/_sandbox/faults", "", 200)
		if got = u.query(w, "refund-1"); got.fen != "100" {
			t.Errorf("without the fault: got %+v", got)
		}
	})
}
