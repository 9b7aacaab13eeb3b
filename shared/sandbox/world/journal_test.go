package world

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// recordBody puts one exchange with a body into the journal.
func (w *World) recordBody(body string) *Exchange {
	r := w.Record(ExchangeCall)
	r.Asked(httptest.NewRequest("POST", "/x", nil), []byte(body))
	r.Answered(200, http.Header{}, nil)
	return r.Keep(func(*Exchange) bool { return true })
}

var testKeys = sync.OnceValues(GenerateKeys)

func newWorld(t testing.TB) *World {
	t.Helper()
	keys, err := testKeys()
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(Config{Seed: 1, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestTheJournalKeepsTheNewestWithinItsBounds(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		n    int
	}{
		"many":  {"", maxExchanges + 10},
		"large": {strings.Repeat("x", maxRecorded), 2 * maxJournal / maxRecorded},
	} {
		w := newWorld(t)
		var last *Exchange
		for range tt.n {
			last = w.recordBody(tt.body)
		}
		all := w.Exchanges("")
		var bytes int
		for _, x := range all {
			bytes += x.size()
		}
		if len(all) > maxExchanges || bytes > maxJournal || bytes != w.journal.bytes || len(all) < min(maxExchanges, maxJournal/(maxRecorded+1024)) {
			t.Errorf("%s: %d exchanges of %d bytes, counted as %d", name, len(all), bytes, w.journal.bytes)
		}
		if newest := all[len(all)-1]; newest != last || w.ExchangeCount() != tt.n {
			t.Errorf("%s: the newest is %s of %d, want %s of %d", name, newest.ID, w.ExchangeCount(), last.ID, tt.n)
		}
		if _, ok := w.Exchange("x1"); ok {
			t.Errorf("%s: the oldest is still there", name)
		}
		if x, ok := w.Exchange(last.ID); !ok || x != last {
			t.Errorf("%s: the newest is not found", name)
		}
		for _, id := range []string{"", "x", "x0", "x01", "1", last.ID + "0"} {
			if _, ok := w.Exchange(id); ok {
				t.Errorf("%s: %q is found", name, id)
			}
		}
	}
}

// Exchanges stand in the order in which they began, whenever they end.
func TestAnExchangeStandsWhereItBegan(t *testing.T) {
	w := newWorld(t)
	outer := w.Record(ExchangeFunction)
	outer.Asked(httptest.NewRequest("POST", "/outer", nil), nil)
	inner := w.recordBody("")
	outer.Answered(200, nil, nil)
	x := outer.Keep(func(*Exchange) bool { return true })
	if all := w.Exchanges(""); len(all) != 2 || all[0] != x || all[1] != inner {
		t.Errorf("got %v, want the inner call behind the one that made it", all)
	}
	dropped := w.Record(ExchangeCall)
	if x := dropped.Keep(func(*Exchange) bool { return false }); x != nil || w.ExchangeCount() != 2 {
		t.Error("what is not worth keeping is kept")
	}
}

func TestALongBodyIsCut(t *testing.T) {
	w := newWorld(t)
	x := w.recordBody(strings.Repeat("x", maxRecorded+1))
	if len(x.Request.Body) != maxRecorded || !x.Request.Cut {
		t.Errorf("%d bytes, cut: %t, want %d and cut", len(x.Request.Body), x.Request.Cut, maxRecorded)
	}
	if x := w.recordBody(strings.Repeat("x", maxRecorded)); len(x.Request.Body) != maxRecorded || x.Request.Cut {
		t.Errorf("%d bytes, cut: %t, want all", len(x.Request.Body), x.Request.Cut)
	}
}

// A secret is masked to its end, and not beyond, however JSON spells it.
func TestASecretIsMaskedWhole(t *testing.T) {
	for body, want := range map[string]string{
		`{"access_token":"AB","n":1}`:                          `{"access_token":"****","n":1}`,
		`{"corpsecret":"A\/B\u002bC\n","n":1}`:                 `{"corpsecret":"****","n":1}`,
		`{"data":"{\"token\":\"A\\/B\",\"n\":1}"}`:             `{"data":"{\"token\":\"****\",\"n\":1}"}`,
		`{"data":"{\\\"my-password\\\" : \\\"A\\\",1}","n":1}`: `{"data":"{\\\"my-password\\\" : \\\"****\\\",1}","n":1}`,
		`{"tokens":"AB","token_count":1}`:                      `{"tokens":"AB","token_count":1}`,
		`{"bank_account":"6222","real_name":"张三","n":1}`:       `{"bank_account":"****","real_name":"****","n":1}`,
	} {
		if got := newWorld(t).recordBody(body).Request.Body; got != want {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
}

// Whatever the spelling, an exchange is found by the refunds that it names.
func TestRefundsAreFoundInAnyText(t *testing.T) {
	for body, want := range map[string]string{
		`{"out_refund_no":"R1","x":1}`:                                      "R1",
		`{"out_refund_no" : "R1"}`:                                          "R1",
		`{"request_data":"{\"data\":{\"out_refund_no\":\"R1\"}}"}`:          "R1",
		`{"request_data":"{\"data\":\"{\\\"out_refund_no\\\":\\\"R1\\\"}"}`: "R1",
		`{"outRefundNo":"R_1-|*@"}`:                                         "R_1-|*@",
		"<xml><out_refund_no><![CDATA[R1]]></out_refund_no></xml>":          "R1",
		"<xml><out_refund_no>R1</out_refund_no></xml>":                      "R1",
		"<out_refund_no_0>R1</out_refund_no_0><out_refund_no_1>R2</x>":      "R1 R2",
		`{"a":{"out_refund_no":"R1"},"b":{"out_refund_no":"R1"}}`:           "R1",
		`{"out_refund_no":60}`:                                              "",
		`{"reason":"out_refund_no"}`:                                        "",
		"\xff\xfe":                                                          "",
	} {
		if got := strings.Join(newWorld(t).recordBody(body).About, " "); got != want {
			t.Errorf("%s is about %q, want %q", body, got, want)
		}
	}
}

func TestRefundsAreFoundInThePath(t *testing.T) {
	for uri, want := range map[string]string{
		"/v3/refund/domestic/refunds/R1":                                  "R1",
		"/v3/refund/domestic/refunds/R1?sub_mchid=1":                      "R1",
		"/v3/refund/domestic/refunds/R%7C1":                               "R|1",
		"/v3/refund/domestic/refunds/%zz":                                 "",
		"/v3/refund/domestic/refunds/":                                    "",
		"/v3/refund/domestic/refunds/503001/apply-abnormal-refund":        "503001",
		"/v3/refund/domestic/refunds/503001/apply-abnormal-refund?a=/b/c": "503001",
	} {
		x := Exchange{Path: uri}
		if got := strings.Join(x.numbers(), " "); got != want {
			t.Errorf("%s is about %q, want %q", uri, got, want)
		}
	}
	// It is shown under the merchant's number.
	x := Exchange{Path: "/refunds/503001/x", Request: Message{Body: `{"out_refund_no":"R1"}`}}
	if got := strings.Join(x.numbers(), " "); got != "R1 503001" {
		t.Errorf("got %q, want both, the merchant's first", got)
	}
}

// An exchange that names no refund belongs to those of the order that it names.
func TestExchangesAreFoundByTheOtherNumbers(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Pay(Order{OutTradeNo: "T1", TransactionID: "4200000000000000000000000001", Total: 100}); err != nil {
		t.Fatal(err)
	}
	r, no := w.Apply(Application{OutTradeNo: "T1", OutRefundNo: "R1", Amount: ApplicationAmount{Refund: 1, Total: 100}}, Caller{})
	if no != nil {
		t.Fatal(no)
	}
	for body, want := range map[string]bool{
		`{"refund_id":"` + r.RefundID + `"}`:                true,
		`{"out_trade_no":"T1"}`:                             true,
		`{"out_trade_no":"T11"}`:                            false,
		`{"out_trade_no":"T1","out_refund_no":"R2"}`:        false,
		`{"transaction_id":"4200000000000000000000000001"}`: true,
		`{}`: false,
	} {
		w.journal.kept, w.journal.bytes = nil, 0
		w.recordBody(body)
		if got := len(w.Exchanges("R1")) == 1; got != want {
			t.Errorf("%s belongs to R1: %t, want %t", body, got, want)
		}
	}
}

func TestTheJournalIsWrittenAndReadAtOnce(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				x := w.recordBody(`{"out_refund_no":"R1"}`)
				w.Exchanges("R1")
				w.Exchange(x.ID)
			}
		})
	}
	all.Wait()
	if kept := w.Exchanges(""); len(kept) != 800 || w.ExchangeCount() != 800 {
		t.Errorf("%d kept, want 800", len(kept))
	}
}

// A day of China's has its refunds, by the hour, and not those of the days beside it.
func TestADayCountsItsRefundsByTheHour(t *testing.T) {
	w := newWorld(t)
	midnight := time.Date(2024, 2, 29, 0, 0, 0, 0, China)
	add := func(created time.Time, past ...Change) {
		w.accepted = append(w.accepted, &refund{created: created, past: past})
	}
	add(midnight, Change{midnight.Add(61 * time.Minute), StatusSuccess})
	add(midnight.Add(-time.Nanosecond), Change{midnight.Add(23*time.Hour + 59*time.Minute), StatusClosed})
	add(midnight.Add(24*time.Hour-time.Nanosecond), Change{midnight.Add(24 * time.Hour), StatusSuccess})
	add(midnight.Add(90*time.Minute).UTC(), Change{midnight.Add(91 * time.Minute), StatusAbnormal}, Change{midnight.Add(92 * time.Minute), StatusClosed})
	got := w.Day(midnight)
	var want [24]Hour
	want[0], want[1], want[23] = Hour{Accepted: 1}, Hour{Accepted: 1, Settled: 2}, Hour{Accepted: 1, Settled: 1}
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Whatever comes, it can be written down, and the merchant's secrets never are.
func FuzzRecord(f *testing.F) {
	f.Add("/cgi-bin/gettoken?corpsecret=SECRET&corp%73ecret=SECRET", "Authorization", "Bearer SECRET", []byte(`{"access_token":"SECRET","out_refund_no":"R1"}`))
	f.Add("/v3/refund/domestic/refunds/R1?a", "X-Wx-Openid", "o", []byte("--b\r\nContent-Disposition: form-data; name=\"wxCloudSessionToken\"\r\n\r\nSECRET\r\n--b--"))
	f.Add("/?&=&token=%zz", "Cookie", "SECRET", []byte("<out_refund_no><![CDATA[R1]]>\xff"))
	w := newWorld(f)
	secret := w.Keys.CorpSecret.Reveal()
	f.Fuzz(func(t *testing.T, uri, name, value string, body []byte) {
		own := func(s string) string { return strings.ReplaceAll(s, "SECRET", secret) }
		r := w.Record(ExchangeCall)
		r.Asked(&http.Request{Method: "POST", RequestURI: "/" + own(uri), Header: http.Header{name: {own(value)}}}, []byte(own(string(body))))
		r.Check("x", true, own(value))
		r.OpenRequest(own(string(body)))
		r.Answered(200, http.Header{name: {own(value)}}, []byte(own(string(body))))
		x := r.Keep(func(*Exchange) bool { return true })
		written := fmt.Sprintf("%+v", x)
		if strings.Contains(written, secret) {
			t.Errorf("a secret was written down: %s", written)
		}
		if !utf8.ValidString(x.Request.Body) || len(x.About) > 4*maxAbout {
			t.Errorf("got %+v", x)
		}
	})
}
