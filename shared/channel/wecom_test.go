package channel_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/channel"
	"wxrefund/shared/refund"
	"wxrefund/shared/secret"
	"wxrefund/shared/wxpay"
)

const corpSecret = "CANARY-SECRET/+&"

// A wecomServer gives tokens out and answers calls.
type wecomServer struct {
	tokens atomic.Int32                                               // how many have been given out
	calls  atomic.Int32                                               // how many came, of either kind
	token  func(w http.ResponseWriter, r *http.Request, n int)        // nil: a good one, CANARY-TOKEN-n
	answer func(w http.ResponseWriter, r *http.Request, token string) // nil: accepted, to a refund; the refund, to a query
	check  func(r *http.Request, body []byte)                         // nil: no more checks
}

func (s *wecomServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/cgi-bin/gettoken" {
		n := int(s.tokens.Add(1))
		q := r.URL.Query()
		switch {
		case r.Method != http.MethodGet || q.Get("corpid") != "ww1" || q.Get("corpsecret") != corpSecret:
			_, _ = io.WriteString(w, `{"errcode":40013,"errmsg":"invalid corpid"}`)
		case s.token != nil:
			s.token(w, r, n)
		default:
			fmt.Fprintf(w, `{"errcode":0,"errmsg":"ok","access_token":"CANARY-TOKEN/%d","expires_in":7200}`, n)
		}
		return
	}
	s.calls.Add(1)
	body, _ := io.ReadAll(r.Body)
	if s.check != nil {
		s.check(r, body)
	}
	switch {
	case s.answer != nil:
		s.answer(w, r, r.URL.Query().Get("access_token"))
	case r.URL.Path == "/cgi-bin/miniapppay/refund":
		_, _ = io.WriteString(w, wecomAccepted)
	default:
		_, _ = io.WriteString(w, wecomFound)
	}
}

const (
	wecomAccepted = `{"out_refund_no":"R1","amount":{"refund":60,"payer_refund":54,"discount_refund":6,"currency":"CNY"},
"promotion_detail":[{"promotion_id":"109519","scope":"GLOBAL","type":"COUPON","amount":10,"refund_amount":6}],"errcode":0,"errmsg":"ok"}`

	// wecomFound has every field of WeCom's document 97352.
	wecomFound = `{"errcode":0,"errmsg":"ok","refund_id":"50000000382019052709732678859","out_refund_no":"R1","transaction_id":"1217752501201407033233368018",
"out_trade_no":"O1","channel":"ORIGINAL","user_received_account":"招商银行信用卡0403","success_time":"2026-11-22T10:05:00+08:00",
"create_time":"2026-11-22T10:00:00+08:00","status":"SUCCESS","funds_account":"UNSETTLED","amount":{"total":100,"refund":60,"from":[{"account":"AVAILABLE","amount":60}],
"payer_total":90,"payer_refund":54,"settlement_refund":60,"settlement_total":100,"discount_refund":6,"currency":"CNY","refund_fee":1},
"promotion_detail":[{"promotion_id":"109519","scope":"SINGLE","type":"DISCOUNT","amount":10,"refund_amount":6,
"goods_detail":[{"merchant_goods_id":"1217","wechatpay_goods_id":"1001","goods_name":"iPhone6s 16G","unit_price":528800,"refund_amount":6,"refund_quantity":1}]}]}`
)

func (s *wecomServer) start(t *testing.T) *channel.WeCom {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return newWeCom(srv.URL, wxpay.NewHTTPClient(nil))
}

func newWeCom(host string, client *http.Client) *channel.WeCom {
	return &channel.WeCom{HTTP: client, Host: host, CorpID: "ww1", CorpSecret: secret.Text(corpSecret), MchID: "1900000109", AppID: "wx8888888888888888"}
}

func saysWeCom(text string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, _ string) { _, _ = io.WriteString(w, text) }
}

// wecomRequest is what WeCom can carry.
func wecomRequest() refund.Request {
	req := request()
	req.TransactionID, req.GoodsDetail, req.Amount.From = "", nil, nil
	req.OutTradeNo = "O12345"
	return req
}

// Every input and every output of WeCom document 97333, and its example.
func TestWeComRefundOnTheWire(t *testing.T) {
	const no = "1217752501201407033233368018"
	example := wecomRequest()
	example.OutTradeNo, example.OutRefundNo, example.Amount.Refund, example.Amount.Total = no, no, 888, 888
	for name, c := range map[string]struct {
		req          refund.Request
		sent, answer string
		want         refund.Refund
	}{
		"every field": {
			wecomRequest(), `"out_trade_no":"O12345","out_refund_no":"R1","amount":{"refund":60,"total":100,"currency":"CNY"}`, wecomAccepted,
			refund.Refund{
				OutRefundNo: "R1", Status: refund.StatusProcessing, // accepted is all that the answer means
				Amount:          refund.Amount{Refund: 60, PayerRefund: ptr(54), DiscountRefund: ptr(6), Currency: "CNY"},
				PromotionDetail: []refund.Promotion{{PromotionID: "109519", Scope: "GLOBAL", Type: "COUPON", Amount: ptr(10), RefundAmount: 6}},
			},
		},
		"the example": {
			example, `"out_trade_no":"` + no + `","out_refund_no":"` + no + `","amount":{"refund":888,"total":888,"currency":"CNY"}`,
			`{"out_refund_no":"` + no + `","amount":{"refund":888,"currency":"CNY"},"errcode":0,"errmsg":"ok"}`,
			refund.Refund{OutRefundNo: no, Status: refund.StatusProcessing, Amount: refund.Amount{Refund: 888, Currency: "CNY"}},
		},
	} {
		s := &wecomServer{answer: saysWeCom(c.answer), check: func(r *http.Request, body []byte) {
			if r.Method != http.MethodPost || r.URL.Path != "/cgi-bin/miniapppay/refund" || r.URL.RawQuery != "access_token=CANARY-TOKEN%2F1" {
				t.Errorf("%s: %s %s", name, r.Method, r.URL)
			}
			if r.Header.Get("Content-Type") != "application/json" || r.Header.Get("User-Agent") == "" {
				t.Errorf("%s: %v", name, r.Header)
			}
			wantBody := `{"mchid":"1900000109","appid":"wx8888888888888888","reason":"商品已售完","funds_account":"AVAILABLE",` + c.sent + `}`
			isEqual(t, name+": body", decode(t, wantBody), decode(t, string(body)))
		}}
		got, err := s.start(t).Refund(t.Context(), c.req)
		isAnswer(t, name, c.want, got, err)
	}
}

func TestWeComQueryOnTheWire(t *testing.T) {
	s := &wecomServer{check: func(r *http.Request, body []byte) {
		if r.Method != http.MethodPost || r.URL.Path != "/cgi-bin/miniapppay/get_refund_detail" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		isEqual(t, "body", decode(t, `{"mchid":"1900000109","out_refund_no":"R1"}`), decode(t, string(body)))
	}}
	got, err := s.start(t).Query(t.Context(), refund.Lookup{OutRefundNo: "R1"})
	isAnswer(t, "the answer", refund.Page{TotalRefundCount: 1, RefundCount: 1, Refunds: []refund.Refund{want()}}, got, err)
}

// errcode by number, whatever the text.
func TestWeComErrors(t *testing.T) {
	table := map[int]errorRow{
		-1:     {"-1", refund.CodeUnavailable, refund.SameNumber},
		45009:  {"45009", refund.CodeUnavailable, refund.Later},
		45033:  {"45033", refund.CodeUnavailable, refund.Later},
		720501: {"720501", refund.CodeNotFound, refund.LaterOrFix},
		720599: {"720599", refund.CodeUnavailable, refund.SameNumber}, // of which nothing is public
		45029:  {"45029", refund.CodeUnavailable, refund.SameNumber},  // about the answer: the refund may have been made
		49004:  {"49004", refund.CodeUnavailable, refund.SameNumber},
		7205:   {"7205", refund.CodeUnavailable, refund.SameNumber},
		172050: {"172050", refund.CodeUnavailable, refund.SameNumber},
	}
	for _, code := range []int{ // settings, permissions and addresses
		40013, 40056, 40091, 41001, 41002, 41004, 41011, 48002, 48003, 48004, 48005, 48006, 50001, 50002, 50003,
		60011, 60020, 60021, 90206, 90207, 90208, 90308, 92000, 92002, 301002, 2000002,
	} {
		table[code] = errorRow{fmt.Sprint(code), refund.CodeRejected, refund.LaterOrFix}
	}
	for _, code := range []int{40035, 40058, 40063, 40068, 44004, 45002, 47001} { // fields
		table[code] = errorRow{fmt.Sprint(code), refund.CodeInvalid, refund.AfterFix}
	}
	table[43002] = errorRow{"43002", refund.CodeRejected, refund.AfterFix}
	for code, row := range table {
		for _, text := range []string{"ok", "invalid credential", ""} {
			s := &wecomServer{answer: saysWeCom(fields{"errcode": code, "errmsg": text, "out_refund_no": "R1"}.json())}
			for call, do := range both(s.start(t)) {
				err := do(t.Context())
				want := row
				if call == "query" && code == 720599 { // there is no refund to show
					want.want, want.next = refund.CodeNotFound, refund.LaterOrFix
				}
				checkRow(t, call, fmt.Sprint(code, text), want, err)
				if text != "" && strings.Contains(refund.AsError(err).Message, text) {
					t.Errorf("%d: %v quotes WeCom, which quotes our address", code, err)
				}
			}
			if n := s.tokens.Load(); n != 1 {
				t.Errorf("%d: %d tokens were fetched", code, n)
			}
		}
	}
}

// A token that has died is fetched anew, once, and the call repeated, once.
func TestWeComDeadToken(t *testing.T) {
	for _, code := range []int{40014, 42001, 40001} {
		dead := fmt.Sprintf(`{"errcode":%d,"errmsg":"invalid access_token"}`, code)
		s := &wecomServer{answer: func(w http.ResponseWriter, _ *http.Request, token string) {
			if token == "CANARY-TOKEN/1" {
				_, _ = io.WriteString(w, dead)
				return
			}
			_, _ = io.WriteString(w, wecomAccepted)
		}}
		ch := s.start(t)
		for range 2 {
			if _, err := ch.Refund(t.Context(), wecomRequest()); err != nil {
				t.Errorf("%d: %v", code, err)
			}
		}
		if s.tokens.Load() != 2 || s.calls.Load() != 3 {
			t.Errorf("%d: %d tokens, %d calls, want 2 and 3", code, s.tokens.Load(), s.calls.Load())
		}

		s = &wecomServer{answer: saysWeCom(dead)}
		_, err := s.start(t).Refund(t.Context(), wecomRequest())
		isUnsent(t, "every token is dead", err)
		if got := refund.AsError(err).Upstream; got != fmt.Sprint(code) {
			t.Errorf("upstream %q, want %d", got, code)
		}
		if s.tokens.Load() != 2 || s.calls.Load() != 2 {
			t.Errorf("%d: %d tokens, %d calls, want 2 and 2", code, s.tokens.Load(), s.calls.Load())
		}
	}
}

// 32 callers share one token, and one new one when it dies.
func TestWeComTokenIsShared(t *testing.T) {
	s := &wecomServer{
		token: func(w http.ResponseWriter, _ *http.Request, n int) {
			time.Sleep(20 * time.Millisecond) // so that all are there
			fmt.Fprintf(w, `{"errcode":0,"access_token":"CANARY-TOKEN/%d","expires_in":7200}`, n)
		},
	}
	var dead atomic.Bool
	s.answer = func(w http.ResponseWriter, _ *http.Request, token string) {
		if dead.Load() && token == "CANARY-TOKEN/1" {
			_, _ = io.WriteString(w, `{"errcode":40014}`)
			return
		}
		_, _ = io.WriteString(w, wecomAccepted)
	}
	ch := s.start(t)
	for _, want := range []int32{1, 2} {
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				if _, err := ch.Refund(t.Context(), wecomRequest()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got := s.tokens.Load(); got != want {
			t.Errorf("%d tokens were fetched, want %d", got, want)
		}
		dead.Store(true)
	}
}

// Who waits for a token waits no longer than he may, and has sent nothing; who
// fetches it goes on.
func TestWeComTokenDoesNotHoldUp(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	s := &wecomServer{token: func(w http.ResponseWriter, _ *http.Request, _ int) {
		close(asked)
		<-release
		_, _ = io.WriteString(w, `{"errcode":0,"access_token":"t","expires_in":7200}`)
	}}
	ch := s.start(t)
	var first sync.WaitGroup
	first.Go(func() {
		if _, err := ch.Refund(t.Context(), wecomRequest()); err != nil {
			t.Error(err)
		}
	})
	<-asked
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := ch.Refund(ctx, wecomRequest())
	isUnsent(t, "no token in time", err)
	close(release)
	first.Wait()
	if n := s.calls.Load(); n != 1 {
		t.Errorf("%d calls were made, want 1", n)
	}
}

// inProcess answers without a network, which a bubble of fake time needs.
type inProcess struct{ http.Handler }

func (h inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// A token is kept until five minutes before its end.
func TestWeComTokenIsKept(t *testing.T) {
	for _, c := range []struct {
		expiresIn string
		kept      time.Duration
	}{{"7200", 115 * time.Minute}, {"600", 5 * time.Minute}, {"300", 0}, {"0", 0}, {"-9000000000000000000", 0}, {"9000000000000000000", 115 * time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			s := &wecomServer{token: func(w http.ResponseWriter, _ *http.Request, _ int) {
				fmt.Fprintf(w, `{"errcode":0,"access_token":"t","expires_in":%s}`, c.expiresIn)
			}}
			ch := newWeCom("https://wecom.example", &http.Client{Transport: inProcess{s}})
			call := func(want int32) {
				t.Helper()
				if _, err := ch.Refund(t.Context(), wecomRequest()); err != nil || s.tokens.Load() != want {
					t.Errorf("expires_in %s: %v, %d tokens, want %d", c.expiresIn, err, s.tokens.Load(), want)
				}
			}
			call(1)
			if c.kept > 0 {
				time.Sleep(c.kept - time.Second)
				call(1)
				time.Sleep(time.Second)
			}
			call(2)
		})
	}
}

// Without a token nothing has been sent.
func TestWithoutAWeComTokenNothingIsSent(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request, n int)
		row    errorRow
	}{
		"a wrong secret": {saysToken(`{"errcode":40001,"errmsg":"invalid credential"}`), errorRow{"40001", refund.CodeRejected, refund.LaterOrFix}},
		"a wrong corp":   {saysToken(`{"errcode":40013}`), errorRow{"40013", refund.CodeRejected, refund.LaterOrFix}},
		"our address":    {saysToken(`{"errcode":60020}`), errorRow{"60020", refund.CodeRejected, refund.LaterOrFix}},
		"busy":           {saysToken(`{"errcode":-1}`), errorRow{"-1", refund.CodeUnavailable, refund.SameNumber}},
		"too many":       {saysToken(`{"errcode":45009}`), errorRow{"45009", refund.CodeUnavailable, refund.Later}},
		"no token":       {saysToken(`{"errcode":0,"access_token":""}`), errorRow{"0", refund.CodeUnavailable, refund.SameNumber}},
		"HTML":           {saysToken(`<html>`), errorRow{"", refund.CodeUnavailable, refund.SameNumber}},
		"500":            {func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(500) }, errorRow{"", refund.CodeUnavailable, refund.SameNumber}},
		"reset":          {func(w http.ResponseWriter, _ *http.Request, _ int) { hangUp(w) }, errorRow{"", refund.CodeUnavailable, refund.SameNumber}},
	} {
		s := &wecomServer{token: c.answer}
		for call, do := range both(s.start(t)) {
			e := refund.AsError(do(t.Context()))
			if e.Code != c.row.want || e.Next != c.row.next || e.Upstream != c.row.code || !e.Unsent {
				t.Errorf("%s, %s: %v (next %s, upstream %q, unsent %v)", name, call, e, e.Next, e.Upstream, e.Unsent)
			}
		}
		if n := s.calls.Load(); n != 0 {
			t.Errorf("%s: %d calls were made", name, n)
		}
	}
}

func saysToken(text string) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, _ *http.Request, _ int) { _, _ = io.WriteString(w, text) }
}

func TestBrokenWeComAnswersLeaveTheOutcomeOpen(t *testing.T) {
	for name, answer := range map[string]string{
		"another refund":  strings.Replace(wecomFound, `"R1"`, `"R2"`, 1),
		"no refund":       strings.Replace(wecomFound, `"out_refund_no":"R1",`, ``, 1),
		"no errcode":      strings.Replace(wecomFound, `"errcode":0,`, ``, 1),
		"errcode is text": strings.Replace(wecomFound, `"errcode":0,`, `"errcode":"0",`, 1),
		"amount is text":  strings.Replace(wecomFound, `"refund":60`, `"refund":"60"`, 1),
		"no amount":       `{"errcode":0,"out_refund_no":"R1","status":"SUCCESS"}`,
		"nothing":         `{}`,
	} {
		s := &wecomServer{answer: saysWeCom(answer)}
		for call, do := range both(s.start(t)) {
			isUnknown(t, name+", "+call, do(t.Context()))
		}
	}
}

// Token and secret are in no error, whatever goes wrong.
func TestWeComErrorsTellNoSecret(t *testing.T) {
	var told []string
	note := func(err error) {
		for ; err != nil; err = refund.AsError(err).Err {
			told = append(told, err.Error())
			if refund.AsError(err).Err == err {
				break
			}
		}
	}
	for name, breakIt := range broken {
		if name == "hangs" {
			continue
		}
		s := &wecomServer{answer: func(w http.ResponseWriter, r *http.Request, _ string) { breakIt(w, r, wecomAccepted) }}
		for _, do := range both(s.start(t)) {
			note(do(t.Context()))
		}
		s = &wecomServer{token: func(w http.ResponseWriter, r *http.Request, _ int) {
			breakIt(w, r, `{"errcode":0,"access_token":"CANARY-TOKEN"}`)
		}}
		for _, do := range both(s.start(t)) {
			note(do(t.Context()))
		}
	}
	for _, host := range []string{"http://127.0.0.1:1", "http://[::1", "http://a b", "ftp://127.0.0.1", "http://nowhere.invalid", "http://127.0.0.1:1\n"} {
		for _, do := range both(newWeCom(host, wxpay.NewHTTPClient(nil))) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			note(do(ctx))
			cancel()
		}
	}
	all := strings.Join(told, "\n")
	if unescaped, err := url.QueryUnescape(strings.ReplaceAll(all, "%", "%25")); err != nil || strings.Contains(all+unescaped, "CANARY") || len(told) < 20 {
		t.Errorf("%d errors: %s", len(told), all)
	}
}

func TestWeComCarries(t *testing.T) {
	notCarried(t, &channel.WeCom{}, wecomRequest(), map[string]func(*refund.Request){
		"transaction_id":         func(r *refund.Request) { r.TransactionID = "1217752501201407033233368018" },
		"goods_detail":           func(r *refund.Request) { r.GoodsDetail = request().GoodsDetail },
		"amount.from[0].account": func(r *refund.Request) { r.Amount.From = request().Amount.From },
		"amount.currency":        func(r *refund.Request) { r.Amount.Currency = "USD" },
		"funds_account":          func(r *refund.Request) { r.FundsAccount = "UNSETTLED" },
		"out_trade_no must":      func(r *refund.Request) { r.OutTradeNo = "O1234" },
	})
	spec := (*channel.WeCom)(nil).Spec()
	if spec.Rate != 150 || spec.Pace != time.Minute || spec.MaxRefunds != 0 {
		t.Errorf("limits %+v, want those of WeCom document 97333", spec)
	}
	if err := spec.Number("out_refund_no", "R_-|*@1"); err != nil {
		t.Error(err)
	}
}

// Without another host, WeCom's own is called.
func TestWeComsOwnHostIsTheDefault(t *testing.T) {
	s := &wecomServer{}
	var hosts []string
	client := &http.Client{Transport: inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts = append(hosts, r.URL.Scheme+"://"+r.URL.Host)
		s.ServeHTTP(w, r)
	})}}
	if _, err := newWeCom("", client).Refund(t.Context(), wecomRequest()); err != nil {
		t.Error(err)
	}
	isEqual(t, "called", []string{"https://qyapi.weixin.qq.com", "https://qyapi.weixin.qq.com"}, hosts)
}
