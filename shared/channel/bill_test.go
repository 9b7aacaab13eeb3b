package channel_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/channel"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

const (
	billHead  = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,退款申请时间,退款成功时间,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
	billSums  = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
	fundsHead = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号"
	fundsSums = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"
)

func billRow(mchID, subMchID, no, status string) string {
	return "`2026-11-20 18:30:00,`wx8888888888888888,`" + mchID + ",`" + subMchID + ",`,`4200002166202406250324636876,`O-" + no + ",`oVgf,`JSAPI,`REFUND,`OTHERS,`CNY,`0.00,`0.00," +
		"`2026-11-25 23:59:59,`,`5030-" + no + ",`" + no + ",`0.28,`0.00,`ORIGINAL,`" + status + ",`tea, \"green\",`{\"a\":\"b\",\"c\":1},`0.00000,`0.54%,`0.00,`0.29,`"
}

// tradeFile is a bill of 2026-11-25: two refunds of 0.29, one of another sub-merchant.
func tradeFile() string {
	return "\ufeff" + strings.Join([]string{
		billHead, billRow("1900000109", "0", "R1", "PROCESSING"), billRow("1900000109", "1900000111", "R2", "FAIL"),
		billSums, "`2,`0.00,`0.56,`0.00,`0.00000,`0.00,`0.58", "",
	}, "\r\n")
}

func fundsFile() string {
	return "\ufeff" + strings.Join([]string{
		fundsHead,
		"`2026-11-25 10:00:00,`5030-R1,`F1,`退款,`退款,`支出,`9.94,`90.00,`1900000109API,`退款总金额10.00元;含手续费0.06元,`R1",
		"`2026-11-25 10:00:01,`5030-R2,`F2,`退款,`退款,`支出,`0.29,`89.71,`1900000109@1900000109,`缺货, 退款总金额10.00元;含手续费0.06元,`R2",
		"`2026-11-25 10:00:02,`5030-R1,`F3,`退款关闭,`退款关闭,`收入,`9.94,`99.65,`system,`,`R1",
		"`2026-11-25 10:00:03,`4200,`F4,`交易,`交易,`收入,`1.00,`100.65,`system,`结算总金额 1.00 元;含手续费 0.00 元,`O1",
		fundsSums, "`4,`2,`10.94,`2,`10.23", "",
	}, "\r\n")
}

func wantRows() []refund.BillRow {
	row := func(line int64, sub, no string, status refund.Status) refund.BillRow {
		return refund.BillRow{
			Line: line, MchID: "1900000109", SubMchID: sub, AppID: "wx8888888888888888", TransactionID: "4200002166202406250324636876", OutTradeNo: "O-" + no,
			RefundID: "5030-" + no, OutRefundNo: no, AcceptedAt: time.Date(2026, 11, 25, 15, 59, 59, 0, time.UTC), Amount: 29, Refunded: 28, Currency: "CNY", Status: status,
		}
	}
	return []refund.BillRow{row(2, "", "R1", refund.StatusProcessing), row(3, "1900000111", "R2", "")}
}

func wantMovements() []refund.Movement {
	at := time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)
	return []refund.Movement{
		{Line: 2, At: at, RefundID: "5030-R1", FlowID: "F1", Amount: 1000, By: "system", Reason: "退款总金额10.00元;含手续费0.06元"},
		{Line: 3, At: at.Add(time.Second), RefundID: "5030-R2", FlowID: "F2", Amount: 29, By: "1900000109@1900000109", Reason: "缺货, 退款总金额10.00元;含手续费0.06元"},
		{Line: 4, At: at.Add(2 * time.Second), RefundID: "5030-R1", FlowID: "F3", Closure: true, Amount: 994, By: "system"},
	}
}

func packed(t testing.TB, file string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, file); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sha1Hex(file string) string { return fmt.Sprintf("%x", sha1.Sum([]byte(file))) }

var (
	trade = refund.BillQuery{Day: "2026-11-25", Kind: refund.TradeBill}
	funds = refund.BillQuery{Day: "2026-11-25", Kind: refund.FundsBill, Account: "BASIC"}
)

// checkBill goes through a bill twice, and closes it.
func checkBill(t *testing.T, b *refund.Bill, err error, file string, rows int64, want []refund.BillRow, moves []refund.Movement) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var got []refund.BillRow
		for r, err := range b.Refunds {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r)
		}
		var moved []refund.Movement
		for m, err := range b.Movements {
			if err != nil {
				t.Fatal(err)
			}
			moved = append(moved, m)
		}
		if diff := cmp.Diff(want, got) + cmp.Diff(moves, moved); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
	}
	if b.Hash != "sha1:"+sha1Hex(file) || b.Rows != rows || b.Empty {
		t.Errorf("bill %s of %d rows, empty %v; want sha1:%s of %d", b.Hash, b.Rows, b.Empty, sha1Hex(file), rows)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if n := spools(t); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

// A billServer answers APIv3's calls about bills.
type billServer struct {
	tickets, downloads atomic.Int32
	uri                string                                    // of the last ticket
	file               []byte                                    // that is downloaded
	hash               string                                    // "" for the SHA-1 of the plain file
	plain              string                                    // the file, unpacked
	at                 func(host string) string                  // where the file is; nil: here
	ticket             func(w http.ResponseWriter, n int32) bool // nil, or false: a good one
	download           func(w http.ResponseWriter, n int32) bool // the same
}

func (s *billServer) start(t *testing.T) *channel.APIv3 {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request, _ []byte) {
		c, err := wxpay.ParseAuthorization(r.Header.Get("Authorization"))
		if err == nil {
			err = c.Verify(&merchantKey().PublicKey, r.Method, r.RequestURI, nil, time.Now())
		}
		if err != nil {
			t.Errorf("%s: %v", r.RequestURI, err)
		}
		if r.URL.Path == "/v3/billdownload/file" {
			if n := s.downloads.Add(1); s.download == nil || !s.download(w, n) {
				_, _ = w.Write(s.file)
			}
			return
		}
		s.uri = r.RequestURI
		if n := s.tickets.Add(1); s.ticket != nil && s.ticket(w, n) {
			return
		}
		at := "http://" + r.Host + "/v3/billdownload/file?token=a%2Fb"
		if s.at != nil {
			at = s.at(r.Host)
		}
		h := s.hash
		if h == "" {
			h = sha1Hex(s.plain)
		}
		kind := map[int]string{40: "SHA1", 64: "SHA256"}[len(h)]
		signed(t, w, 200, fmt.Sprintf(`{"hash_type":%q,"hash_value":%q,"download_url":%q}`, kind, h, at))
	})
}

func says400(status int, code string) func(http.ResponseWriter, int32) bool {
	return func(w http.ResponseWriter, _ int32) bool {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"code":%q,"message":"账单"}`, code)
		return true
	}
}

func TestAPIv3BillsOnTheWire(t *testing.T) {
	for _, tt := range []struct {
		name, sub string
		q         refund.BillQuery
		plain     string
		uri       string
		rows      int64
		want      []refund.BillRow
		moves     []refund.Movement
	}{
		{"trade", "", trade, tradeFile(), "/v3/bill/tradebill?bill_date=2026-11-25&bill_type=REFUND&tar_type=GZIP", 2, wantRows(), nil},
		{"a provider's", "1900000111", trade, tradeFile(), "/v3/bill/tradebill?bill_date=2026-11-25&bill_type=REFUND&sub_mchid=1900000111&tar_type=GZIP", 2, wantRows(), nil},
		{"an account's", "", funds, fundsFile(), "/v3/bill/fundflowbill?account_type=BASIC&bill_date=2026-11-25&tar_type=GZIP", 4, nil, wantMovements()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, file := range [][]byte{[]byte(tt.plain), packed(t, tt.plain)} {
				for _, hash := range []string{"", fmt.Sprintf("%x", sha256.Sum256([]byte(tt.plain)))} {
					s := &billServer{file: file, plain: tt.plain, hash: hash}
					c := s.start(t)
					c.SubMchID = tt.sub
					b, err := c.Bill(t.Context(), tt.q)
					checkBill(t, b, err, tt.plain, tt.rows, tt.want, tt.moves)
					if s.uri != tt.uri || s.tickets.Load() != 1 || s.downloads.Load() != 1 {
						t.Errorf("asked %s, %d times, and %d downloads", s.uri, s.tickets.Load(), s.downloads.Load())
					}
				}
			}
		})
	}
}

func TestAPIv3HasTheBillsThatItsSpecNames(t *testing.T) {
	c := (&billServer{}).start(t)
	for sub, want := range map[string]string{"": "[trade funds] [BASIC OPERATION]", "1900000111": "[trade] []"} {
		c.SubMchID = sub
		if s := c.Spec(); fmt.Sprint(s.Bills, s.BillAccounts) != want {
			t.Errorf("of %q: %v %v, want %s", sub, s.Bills, s.BillAccounts, want)
		}
	}
	c.SubMchID = "1900000111"
	for _, q := range []refund.BillQuery{funds, {Day: "2026-11-25", Kind: "x"}} {
		if _, err := c.Bill(t.Context(), q); !errors.Is(err, refund.ErrNoBill) {
			t.Errorf("%v: error %v", q, err)
		}
	}
	c.SubMchID = ""
	if _, err := c.Bill(t.Context(), refund.BillQuery{Day: "2026-11-25", Kind: refund.FundsBill, Account: "FEES"}); !errors.Is(err, refund.ErrNoBill) {
		t.Error("the account of fees:", err)
	}
}

func TestADayWithoutABillIsEmpty(t *testing.T) {
	s := &billServer{ticket: says400(400, "NO_STATEMENT_EXIST")}
	b, err := s.start(t).Bill(t.Context(), trade)
	if err != nil || !b.Empty || b.Hash != "" || b.Rows != 0 || b.Query != trade {
		t.Fatalf("%+v, error %v", b, err)
	}
	for range b.Refunds {
		t.Error("a row")
	}
	for range b.Movements {
		t.Error("a movement")
	}
}

func TestABillThatIsRefusedSaysWhy(t *testing.T) {
	for _, tt := range []struct {
		status int
		code   string
		want   refund.Error
	}{
		{400, "STATEMENT_CREATING", refund.Error{Code: refund.CodeUnavailable, Next: refund.Later, RetryAfter: 30 * time.Minute}},
		{500, "SYSTEM_ERROR", refund.Error{Code: refund.CodeUnavailable, Next: refund.Later}},
		{500, "NO_STATEMENT_EXIST", refund.Error{Code: refund.CodeUnavailable, Next: refund.Later}},
		{429, "FREQUENCY_LIMITED", refund.Error{Code: refund.CodeUnavailable, Next: refund.Later}},
		{403, "NO_AUTH", refund.Error{Code: refund.CodeRejected, Next: refund.LaterOrFix}},
		{400, "INVALID_REQUEST", refund.Error{Code: refund.CodeRejected, Next: refund.LaterOrFix}},
		{401, "SIGN_ERROR", refund.Error{Code: refund.CodeRejected, Next: refund.LaterOrFix}},
		{400, "PARAM_ERROR", refund.Error{Code: refund.CodeInvalid, Next: refund.AfterFix}},
		{404, "RESOURCE_NOT_EXISTS", refund.Error{Code: refund.CodeUnavailable, Next: refund.Later}},
		{302, "", refund.Error{Code: refund.CodeUnavailable, Next: refund.Later}},
	} {
		tt.want.Upstream = tt.code
		for what, s := range map[string]*billServer{"asked for": {ticket: says400(tt.status, tt.code)}, "downloaded": {download: says400(tt.status, tt.code)}} {
			b, err := s.start(t).Bill(t.Context(), trade)
			e := *refund.AsError(err)
			e.Message, e.Err = "", nil
			if diff := cmp.Diff(tt.want, e); b != nil || diff != "" || errors.Is(err, refund.ErrBillUnreadable) {
				t.Errorf("%s, %d %s: %v (-want +got):\n%s", what, tt.status, tt.code, err, diff)
			}
			if n := s.downloads.Load(); what == "downloaded" && n != 2 || s.tickets.Load() != max(n, 1) {
				t.Errorf("%s, %s: %d tickets, %d downloads", what, tt.code, s.tickets.Load(), n)
			}
		}
	}
}

// An address holds for minutes and once.
func TestABillIsFetchedOnceMoreFromANewAddress(t *testing.T) {
	for name, fails := range map[string]func(w http.ResponseWriter){
		"expired": func(w http.ResponseWriter) { says400(400, "INVALID_REQUEST")(w, 1) },
		"broken off": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100000")
			_, _ = io.WriteString(w, tradeFile()[:100])
		},
		"redirected": func(w http.ResponseWriter) { w.Header().Set("Location", "/"); w.WriteHeader(302) },
	} {
		s := &billServer{file: []byte(tradeFile()), plain: tradeFile()}
		s.download = func(w http.ResponseWriter, n int32) bool {
			if n == 1 {
				fails(w)
			}
			return n == 1
		}
		b, err := s.start(t).Bill(t.Context(), trade)
		checkBill(t, b, err, tradeFile(), 2, wantRows(), nil)
		if s.tickets.Load() != 2 {
			t.Errorf("%s: %d tickets", name, s.tickets.Load())
		}
	}
}

func TestABillThatCannotBeUsedIsNotHandedOut(t *testing.T) {
	plain := tradeFile()
	for _, tt := range []struct {
		name string
		s    *billServer
		q    refund.BillQuery
		want string
	}{
		{"wrong hash", &billServer{hash: strings.Repeat("0", 40)}, trade, "its hash is not the one"},
		{"a bit of the file", &billServer{file: []byte(strings.Replace(plain, "tea", "tee", 1))}, trade, "its hash is not the one"},
		{"cut off", &billServer{file: packed(t, plain)[:200]}, trade, "cut off or damaged"},
		{"cut off, not packed", &billServer{file: []byte(plain)[:len(plain)-20]}, trade, "line 5: "},
		{"a bad row", &billServer{file: []byte(strings.Replace(plain, "`5030-R2", "`50 30", 1))}, trade, "line 3: 微信退款单号: "},
		{"bad sums", &billServer{file: []byte(strings.Replace(plain, "`0.58", "`0.59", 1))}, trade, "line 5: 申请退款总金额: "},
		{"another merchant's", &billServer{file: []byte(strings.Replace(plain, "`1900000109,`1900000111", "`1900000999,`0", 1))}, trade, "line 3: 商户号: it is another merchant's"},
		{"another day's", &billServer{}, refund.BillQuery{Day: "2026-11-26", Kind: refund.TradeBill}, "nothing in it is of 2026-11-26"},
		{"an account's", &billServer{file: []byte(fundsFile())}, trade, "it is the bill of an account"},
		{"of trade", &billServer{}, funds, "it is the bill of trade"},
		{"payments alone", &billServer{file: []byte("交易时间,商户号,微信订单号,商户订单号\n总交易单数\n`0\n")}, trade, "it is of type SUCCESS"},
		{"a foreign host", &billServer{at: func(string) string { return "https://evil.example/v3/billdownload/file" }}, trade, "not WeChat Pay's; nothing was sent"},
		{"another path", &billServer{at: func(host string) string { return "http://" + host + "/v3/refund/domestic/refunds" }}, trade, "not WeChat Pay's; nothing was sent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.s.plain = plain
			if tt.s.file == nil {
				tt.s.file = []byte(plain)
			}
			before := spools(t)
			b, err := tt.s.start(t).Bill(t.Context(), tt.q)
			e := refund.AsError(err)
			if b != nil || !errors.Is(err, refund.ErrBillUnreadable) || e.Code != refund.CodeUnavailable || e.Next != refund.Later || !strings.Contains(e.Message, tt.want) {
				t.Errorf("%+v, error %v, want %q", b, err, tt.want)
			}
			if n := tt.s.downloads.Load(); n > 1 || tt.s.at != nil && n > 0 {
				t.Errorf("%d downloads", n)
			}
			if after := spools(t); after != before {
				t.Errorf("%d files are left", after-before)
			}
		})
	}
}

// spools counts this process's files of bills: those that are open, or where nobody can
// tell, those that are there.
func spools(t *testing.T) (n int) {
	t.Helper()
	dir := "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		dir = os.TempDir()
		if entries, err = os.ReadDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range entries {
		at, _ := os.Readlink(filepath.Join(dir, e.Name()))
		if strings.HasPrefix(e.Name(), "bill-") || strings.Contains(at, "/bill-") {
			n++
		}
	}
	return n
}

func TestATicketThatIsNoneIsAskedForAgainLater(t *testing.T) {
	for _, body := range []string{`{}`, `[]`, `{"hash_type":"MD5","hash_value":"","download_url":""}`} {
		s := &billServer{}
		var c *channel.APIv3
		s.ticket = func(w http.ResponseWriter, _ int32) bool { signed(t, w, 200, body); return true }
		c = s.start(t)
		_, err := c.Bill(t.Context(), trade)
		if e := refund.AsError(err); e.Code != refund.CodeUnavailable || e.Next != refund.Later || errors.Is(err, refund.ErrBillUnreadable) {
			t.Errorf("%s: %v", body, err)
		}
	}
	// A ticket whose signature does not hold is none.
	s := &billServer{}
	s.ticket = func(w http.ResponseWriter, _ int32) bool { _, _ = io.WriteString(w, `{}`); return true }
	if _, err := s.start(t).Bill(t.Context(), trade); !refund.IsCode(err, refund.CodeUnavailable) {
		t.Error(err)
	}
}

func TestAFileThatSomebodyBringsIsReadLikeABill(t *testing.T) {
	direct, sub := refund.Merchant{MchID: "1900000109"}, refund.Merchant{MchID: "1900000100", SubMchID: "1900000109"}
	own := wantRows()
	for i := range own {
		if own[i].SubMchID == "" {
			own[i].SubMchID = "1900000109"
		}
	}
	for _, tt := range []struct {
		file  string
		q     refund.BillQuery
		m     refund.Merchant
		rows  int64
		want  []refund.BillRow
		moves []refund.Movement
	}{
		{tradeFile(), trade, direct, 2, wantRows(), nil},
		{tradeFile(), trade, sub, 2, own, nil},
		{fundsFile(), funds, direct, 4, nil, wantMovements()},
	} {
		for _, file := range [][]byte{[]byte(tt.file), packed(t, tt.file)} {
			b, err := channel.BillFile(bytes.NewReader(file), tt.q, tt.m)
			checkBill(t, b, err, tt.file, tt.rows, tt.want, tt.moves)
		}
	}
	for want, file := range map[string]string{
		"line 2: 商户号: it is another merchant's": strings.ReplaceAll(tradeFile(), "1900000109", "1900000999"),
		"it is empty":              "",
		"line 1: 交易时间: is missing": "PK\x03\x04",
		"line 3: ":                 strings.Replace(tradeFile(), "`0.28,`0.00,`ORIGINAL,`FAIL", "`x,`0.00,`ORIGINAL,`FAIL", 1),
	} {
		_, err := channel.BillFile(strings.NewReader(file), trade, direct)
		if e := refund.AsError(err); e.Code != refund.CodeInvalid || e.Next != refund.AfterFix || !errors.Is(err, refund.ErrBillUnreadable) || !strings.Contains(e.Message, want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	unsaid := refund.Merchant{SubMchID: "1900000109"}
	if _, err := channel.BillFile(strings.NewReader(strings.ReplaceAll(tradeFile(), "1900000109", "1900000999")), trade, unsaid); !errors.Is(err, refund.ErrBillUnreadable) {
		t.Errorf("another merchant's where the provider's number is not known: %v", err)
	}
	_, err := channel.BillFile(io.MultiReader(strings.NewReader(tradeFile()), failing{}), trade, direct)
	if e := refund.AsError(err); e.Code != refund.CodeInternal || errors.Is(err, refund.ErrBillUnreadable) {
		t.Error("a disk that fails:", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("disk") }

// FuzzBillFile: whatever somebody brings, it is refused as such or can be read again and
// says the same.
func FuzzBillFile(f *testing.F) {
	f.Add([]byte(tradeFile()), true)
	f.Add([]byte(fundsFile()), false)
	f.Add(packed(f, tradeFile()), true)
	f.Fuzz(func(t *testing.T, file []byte, ofTrade bool) {
		q := funds
		if ofTrade {
			q = trade
		}
		b, err := channel.BillFile(bytes.NewReader(file), q, refund.Merchant{MchID: "1900000109"})
		if err != nil {
			if e := refund.AsError(err); e.Code != refund.CodeInvalid || !errors.Is(err, refund.ErrBillUnreadable) || strings.ContainsAny(e.Message, "\r\n") {
				t.Fatal(err)
			}
			return
		}
		defer b.Close()
		for r, err := range b.Refunds {
			if err != nil || r.Amount < 1 || r.Refunded > r.Amount || r.RefundID == "" {
				t.Fatalf("%+v, error %v", r, err)
			}
		}
		for m, err := range b.Movements {
			if err != nil || m.Amount < 0 || m.RefundID == "" {
				t.Fatalf("%+v, error %v", m, err)
			}
		}
	})
}
