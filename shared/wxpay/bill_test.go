package wxpay

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Headings as WeChat Pay's documents have them.
const (
	headAll      = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
	headRefund   = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,退款申请时间,退款成功时间,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
	headSuccess  = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,商品名称,商户数据包,手续费,费率,订单金额,费率备注"
	headOld      = "交易时间,公众账号ID,商户号,子商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,总金额,企业红包金额,退款申请时间,退款成功时间,微信退款单号,商户退款单号,退款金额,企业红包退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率"
	headSums     = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
	headOldSums  = "总交易单数,总交易额,总退款金额,总企业红包退款金额,手续费总金额"
	headFunds    = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号"
	headFundsSum = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"
)

// writeBill writes a bill as WeChat Pay does: it is the reader's other half, and as simple
// as can be.
func writeBill(bom, eol, head string, rows [][]string, sums string, told ...string) []byte {
	var b strings.Builder
	b.WriteString(bom + head + eol)
	for _, row := range append(rows, nil, told) {
		if row == nil {
			b.WriteString(sums + eol)
			continue
		}
		b.WriteString("`" + strings.Join(row, ",`") + eol)
	}
	return []byte(b.String())
}

const bom = "\ufeff"

// rowRefund is a row of a REFUND bill: of 0.29, which no float holds.
func rowRefund() []string {
	return strings.Split("2024-06-28 18:30:00|wxe1696e7c7db8e7f4|1579507281|0||4200002166202406250324636876|5617363390111199232|oVgf|JSAPI|REFUND|OTHERS|CNY|0.00|0.00|"+
		"2024-07-09 16:47:58|2024-07-09 16:48:03|50302709992024070991956632208|5622435300878286848|0.28|0.00|ORIGINAL|SUCCESS|2024-06-28 18:30 客户,付款|{\"a\":\"b\",\"c\":1}|-0.27000|0.54%|0.00|0.29|", "|")
}

func validBill() []byte {
	return writeBill(bom, "\r\n", headRefund, [][]string{rowRefund()}, headSums, "1", "0.00", "0.28", "0.00", "-0.27000", "0.00", "0.29")
}

func beijingTime(s string) time.Time {
	t, err := time.ParseInLocation(time.DateTime, s, time.FixedZone("", 8*60*60))
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func wantRefund() TradeRow {
	return TradeRow{
		Line: 2, At: beijingTime("2024-06-28 18:30:00"), AppliedAt: beijingTime("2024-07-09 16:47:58"), SucceededAt: beijingTime("2024-07-09 16:48:03"),
		AppID: "wxe1696e7c7db8e7f4", MchID: "1579507281", TransactionID: "4200002166202406250324636876", OutTradeNo: "5617363390111199232",
		RefundID: "50302709992024070991956632208", OutRefundNo: "5622435300878286848", Status: "SUCCESS", Currency: "CNY", Asked: 29, Refunded: 28,
	}
}

func readTrade(file []byte) (rows []TradeRow, b *Bill, err error) {
	b, err = OpenBill(bytes.NewReader(file), nil)
	if err != nil {
		return nil, nil, err
	}
	for row, err := range b.Refunds() {
		if err != nil {
			return nil, b, err
		}
		rows = append(rows, row)
	}
	return rows, b, nil
}

func readFunds(file []byte) (rows []FundsRow, b *Bill, err error) {
	b, err = OpenBill(bytes.NewReader(file), nil)
	if err != nil {
		return nil, nil, err
	}
	for row, err := range b.Movements() {
		if err != nil {
			return nil, b, err
		}
		rows = append(rows, row)
	}
	return rows, b, nil
}

func pack(t testing.TB, file []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(file); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A bill of 2021-01-28 that the tests of a public SDK hold, with the hash that WeChat Pay
// told of it.
func TestThePublicBillHasTheHashThatWeChatPayTold(t *testing.T) {
	for name, want := range map[string]string{
		"testdata/bill_trade_2021-01-28.csv":    "dcd7ceb3d382a1181798368bb15d8437de46c00f",
		"testdata/bill_trade_2021-01-28.csv.gz": "b18b51eb64422040e5ad738d47b358a40b1a7997", // as it was recorded: without BOM and carriage returns
	} {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		h := sha1.New()
		b, err := OpenBill(bytes.NewReader(file), h)
		if err != nil {
			t.Fatal(err)
		}
		for row, err := range b.Refunds() {
			t.Errorf("%s: refund %+v, error %v", name, row, err)
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != want || b.Rows() != 3 || b.Funds() {
			t.Errorf("%s: SHA-1 %s of %d rows, want %s of 3", name, got, b.Rows(), want)
		}
	}
}

func TestEveryLayoutOfATradeBillIsRead(t *testing.T) {
	refund := rowRefund()
	all := append(append([]string{}, refund[:14]...), refund[16:]...)
	paid := strings.Split("2024-07-09 10:00:00|wxe1696e7c7db8e7f4|1579507281|0||42000021|56173|oVgf|JSAPI|SUCCESS|OTHERS|CNY|1.00|0.00|0|0|0.00|0.00|||a|b|0.00600|0.60%|1.00|0.00|", "|")
	paidAlone := append(append([]string{}, paid[:14]...), append(append([]string{}, paid[20:25]...), "")...)
	old := append([]string{}, refund[:26]...)
	old[3], old[18] = "1900000109", "0.29"
	wantAll, wantOld := wantRefund(), wantRefund()
	wantAll.Line, wantAll.AppliedAt, wantAll.SucceededAt = 3, time.Time{}, time.Time{}
	wantOld.SubMchID, wantOld.Refunded = "1900000109", 29
	yen := "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,微信退款单号,商户退款单号,退款状态,商品名称,标价币种,申请退款金额,用户退款币种,用户退款金额"
	for _, tt := range []struct {
		name string
		file []byte
		want []TradeRow
		rows int64
	}{
		{"REFUND", validBill(), []TradeRow{wantRefund()}, 1},
		{"ALL", writeBill(bom, "\r\n", headAll, [][]string{paid, all}, headSums, "2", "1.00", "0.28", "0.00", "-0.26400", "1.00", "0.29"), []TradeRow{wantAll}, 2},
		{"SUCCESS", writeBill(bom, "\r\n", headSuccess, [][]string{paidAlone}, "总交易单数,应结订单总金额,手续费总金额,订单总金额", "1", "1.00", "0.006", "1.00"), nil, 1},
		{"old", writeBill("", "\n", headOld, [][]string{old}, headOldSums, "1", "0.00", "0.29", "0.00", "-0.27"), []TradeRow{wantOld}, 1},
		{"no rows", writeBill(bom, "\r\n", headRefund, nil, headSums, "0", "0.00", "0.00", "0.00", "0.00000", "0.00", "0.00"), nil, 0},
		{"yen", writeBill("", "\n", yen, [][]string{{"2024-07-09 16:47:58", "wx1", "1900000109", "0", "", "4200", "o1", "5030", "r1", "PROCESSING", "tea", "JPY", "1200", "CNY", "57.31"}}, "总交易单数", "1"),
			[]TradeRow{{Line: 2, At: beijingTime("2024-07-09 16:47:58"), AppID: "wx1", MchID: "1900000109", TransactionID: "4200", OutTradeNo: "o1", RefundID: "5030", OutRefundNo: "r1", Status: "PROCESSING", Currency: "JPY", Asked: 1200, Refunded: 1200}}, 1},
	} {
		for _, file := range [][]byte{tt.file, pack(t, tt.file)} {
			got, b, err := readTrade(file)
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" || b.Rows() != tt.rows {
				t.Errorf("%s: error %v, rows (-want +got):\n%s", tt.name, err, diff)
			}
		}
	}
}

func TestWhatAMerchantWritesMovesNoColumn(t *testing.T) {
	for _, name := range []string{"", "a,b", `"a","b"`, `{"a":"b,c"}`, "a,`b", ",`,`,`REFUND,`", "`", "退款金额,`9.99"} {
		row := rowRefund()
		row[22], row[23] = name, name
		got, _, err := readTrade(writeBill(bom, "\r\n", headRefund, [][]string{row}, headSums, "1", "0.00", "0.28", "0.00", "-0.27", "0.00", "0.29"))
		if diff := cmp.Diff([]TradeRow{wantRefund()}, got); err != nil || diff != "" {
			t.Errorf("%q: error %v, rows (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestABrokenTradeBillIsRefusedByLineAndHeading(t *testing.T) {
	set := func(column int, value string) func(string) string {
		return func(string) string {
			row := rowRefund()
			row[column] = value
			return string(writeBill(bom, "\r\n", headRefund, [][]string{row}, headSums, "1", "0.00", "0.28", "0.00", "-0.27000", "0.00", "0.29"))
		}
	}
	swap := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	for _, tt := range []struct {
		name   string
		mutate func(string) string
		want   string
	}{
		{"nothing", func(string) string { return "" }, "it is empty"},
		{"a page", func(string) string { return "<html>" }, "line 1: 交易时间: is missing"},
		{"a heading missing", swap("微信订单号", "x"), "line 1: 微信订单号: is missing"},
		{"a heading twice", swap("设备号", "商户号"), "line 1: 商户号: is there twice"},
		{"a value missing", swap(",`JSAPI", ""), "line 2: the row has 28 values where 29 are"},
		{"a value more before what people write", swap(",`JSAPI", ",`JSAPI,`x"), "line 2: "},
		{"no refund id", set(16, "0"), "line 2: 微信退款单号: is missing"},
		{"a refund id with a space", set(16, "5 0"), "line 2: 微信退款单号: "},
		{"a number too long", set(17, strings.Repeat("1", 65)), "line 2: 商户退款单号: "},
		{"no order", func(s string) string {
			return strings.NewReplacer("`4200002166202406250324636876", "`", "`5617363390111199232", "`").Replace(s)
		}, "line 2: 微信订单号: is missing"},
		{"no merchant", set(2, ""), "line 2: 商户号: is missing"},
		{"another currency", set(11, "元"), "line 2: 货币种类: "},
		{"a currency without digits behind the point", set(11, "JPY"), "line 2: 申请退款金额: is no amount of JPY"},
		{"a time of a spreadsheet", set(14, "2024/7/9 16:47"), "line 2: 退款申请时间: is no time"},
		{"no amount", set(27, ""), "line 2: 申请退款金额: is no amount"},
		{"nothing refunded", set(27, "0.00"), "line 2: 申请退款金额: is nothing"},
		{"an amount below zero", set(27, "-0.29"), "line 2: 申请退款金额: is no amount"},
		{"an amount with an exponent", set(27, "1e2"), "line 2: 申请退款金额: is no amount"},
		{"a part of a fen", set(27, "0.295"), "line 2: 申请退款金额: is no amount of CNY"},
		{"more than was asked for", set(18, "0.30"), "line 2: 退款金额: is more than"},
		{"a payment's amount", set(12, "x"), "line 2: 应结订单金额: is no amount"},
		{"too much", set(12, "99999999999999"), "line 2: 应结订单金额: is no amount"},
		{"a sum", swap("`0.29\r\n", "`0.30\r\n"), "line 4: 申请退款总金额: the file says 0.30 where its rows make 0.29"},
		{"a sum of 退款金额", swap("`1,`0.00,`0.28", "`1,`0.00,`0.29"), "line 4: 退款总金额: the file says 0.29 where its rows make 0.28"},
		{"the fees' sum", swap("`-0.27000,`0.00,`0.29\r\n", "`-0.27001,`0.00,`0.29\r\n"), "line 4: 手续费总金额: the file says -0.27001 where its rows make -0.27"},
		{"the count", swap("\r\n`1,", "\r\n`2,"), "line 4: 总交易单数: the file says 2 where its rows make 1"},
		{"a sum missing", swap("`0.29\r\n", "\r\n"), "line 4: "},
		{"cut off in the sums", func(s string) string { return s[:strings.LastIndex(s, "`1,")] }, "line 4: the file ends before its sums"},
		{"cut off behind the rows", func(s string) string { return s[:strings.Index(s, "总交易单数")] }, "line 3: the file ends before its sums"},
		{"cut off in the row", func(s string) string { return s[:strings.Index(s, "JSAPI")] }, "line 2: the row has"},
		{"a line of something else", swap("总交易单数", "合计"), "line 3: the line is neither a row nor"},
		{"something behind", func(s string) string { return s + "`1" }, "line 5: something stands behind the sums"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := []byte(tt.mutate(string(validBill())))
			_, _, err := readTrade(file)
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if _, _, err := readTrade(append(file, "\r\n"...)); err == nil {
				t.Error("with an empty line behind it is read")
			}
		})
	}
}

func TestALineAndAFileAreBounded(t *testing.T) {
	row := rowRefund()
	row[22] = strings.Repeat("x", maxBillLine)
	_, _, err := readTrade(writeBill(bom, "\r\n", headRefund, [][]string{row}, headSums, "1"))
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "line 2") {
		t.Error("a long line:", err)
	}
	b, err := OpenBill(bytes.NewReader(validBill()), nil)
	if err != nil {
		t.Fatal(err)
	}
	b.size = maxBill
	for _, err = range b.Refunds() {
	}
	if !errors.Is(err, ErrTooLarge) {
		t.Error("a long file:", err)
	}
	b, _ = OpenBill(bytes.NewReader(validBill()), nil)
	b.rows = maxBillRows
	for _, err = range b.Refunds() {
	}
	if !errors.Is(err, ErrTooLarge) {
		t.Error("many rows:", err)
	}
}

func TestADamagedGzipIsRefused(t *testing.T) {
	file := pack(t, validBill())
	for n := range len(file) {
		if _, _, err := readTrade(file[:n]); !errors.Is(err, ErrFormat) {
			t.Fatalf("the first %d bytes: error %v", n, err)
		}
	}
	damaged := 0
	for i := range file {
		flipped := bytes.Clone(file)
		flipped[i] ^= 0x10
		if got, _, err := readTrade(flipped); err != nil {
			damaged++
		} else if diff := cmp.Diff([]TradeRow{wantRefund()}, got); diff != "" {
			t.Errorf("byte %d flipped, read (-want +got):\n%s", i, diff)
		}
	}
	if damaged < len(file)-16 { // the header's time and system say nothing
		t.Errorf("of %d damaged files %d were refused", len(file), damaged)
	}
}

func rowFunds() []string {
	return []string{"2018-02-01 04:21:23", "50000305742018020103387128253", "1900009231201802010338712825", "退款", "退款", "支出", "0.29", "0.17", "system", "缺货,`\"x\"", "REF4200000068201801293084726067"}
}

func validFunds() []byte {
	other := []string{"2018-02-01 04:00:00", "4200", "4200", "交易", "交易", "收入", "1.00", "1.17", "system", "结算总金额 1.00 元;含手续费 0.00 元", "o"}
	closed := []string{"2018-02-01 05:00:00", "50000305742018020103387128254", "1900009231201802010338712826", "退款关闭", "退款关闭", "收入", "0.02", "0.19", "1900009231@1900009231", "", "r"}
	return writeBill(bom, "\r\n", headFunds, [][]string{other, rowFunds(), closed}, headFundsSum, "3", "2", "1.02", "1", "0.29")
}

func TestABillOfAnAccountIsRead(t *testing.T) {
	want := []FundsRow{
		{Line: 3, At: beijingTime("2018-02-01 04:21:23"), RefundID: "50000305742018020103387128253", FlowID: "1900009231201802010338712825", Amount: 29, By: "system", Remark: "缺货,`\"x\"", OutRefundNo: "REF4200000068201801293084726067"},
		{Line: 4, At: beijingTime("2018-02-01 05:00:00"), RefundID: "50000305742018020103387128254", FlowID: "1900009231201802010338712826", Closure: true, Amount: 2, By: "1900009231@1900009231", OutRefundNo: "r"},
	}
	for _, file := range [][]byte{validFunds(), pack(t, validFunds())} {
		got, b, err := readFunds(file)
		if diff := cmp.Diff(want, got); err != nil || diff != "" || !b.Funds() || b.Rows() != 3 {
			t.Errorf("error %v, rows (-want +got):\n%s", err, diff)
		}
	}
}

func TestABrokenBillOfAnAccountIsRefusedByLineAndHeading(t *testing.T) {
	for _, tt := range []struct{ name, old, new, want string }{
		{"a heading missing", "收支类型", "x", "line 1: 收支类型: is missing"},
		{"neither in nor out", "`支出", "`x", "line 3: 收支类型: is neither"},
		{"no refund id", "`50000305742018020103387128253", "`", "line 3: 微信支付业务单号: is missing"},
		{"no time", "`2018-02-01 04:21:23", "`", "line 3: 记账时间: is missing"},
		{"an amount", "`0.29", "`x", "line 3: 收支金额(元): is no amount"},
		{"the income", "`1.02", "`1.03", "line 6: 收入金额: the file says 1.03 where its rows make 1.02"},
		{"how often in", "`3,`2", "`3,`1", "line 6: 收入笔数: the file says 1 where its rows make 2"},
		{"how often out", "`1,`0.29\r", "`2,`0.29\r", "line 6: 支出笔数: the file says 2 where its rows make 1"},
		{"how often", "`3,`2", "`4,`2", "line 6: 资金流水总笔数: the file says 4 where its rows make 3"},
	} {
		_, _, err := readFunds([]byte(strings.Replace(string(validFunds()), tt.old, tt.new, 1)))
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestDecimalsAreExact(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "0.29": "0.29", "-0.27000": "-0.27", "4.33000": "4.33", "1300.00": "1300", "0.00001": "0.00001", "92233720368547": "92233720368547", "007": "7",
		"": "x", "-": "x", ".1": "x", "1.": "x", "1.000001": "x", "1,000.00": "x", "+1": "x", "1e3": "x", "0x1": "x", " 1": "x", "１": "x", "92233720368548": "x", "9999999999999999999": "x", "1.1.1": "x", "--1": "x",
	} {
		d, ok := parseDecimal([]byte(text))
		if got := d.String(); ok && got != want || ok == (want == "x") {
			t.Errorf("%q: %s %v, want %s", text, got, ok, want)
		}
	}
	for _, tt := range []struct {
		text, currency string
		want           int64
		ok             bool
	}{
		{"0.29", "CNY", 29, true}, {"1200", "JPY", 1200, true}, {"1200.00", "KRW", 1200, true}, {"12.50", "JPY", 0, false}, {"1.234", "KWD", 1234, true}, {"1.234", "HKD", 0, false}, {"90000000000000", "CNY", 9000000000000000, true},
	} {
		d, _ := parseDecimal([]byte(tt.text))
		if got, ok := d.minor(tt.currency); ok != tt.ok || ok && got != tt.want {
			t.Errorf("%s %s: %d %v, want %d %v", tt.text, tt.currency, got, ok, tt.want, tt.ok)
		}
	}
	if got := decimal(1 << 62).plus(1 << 62).plus(-1); got != tooMuch {
		t.Error("a sum that does not fit is", got)
	}
}

// manyRows is a bill of n refunds that is written while it is read.
func manyRows(n int) io.Reader {
	r, w := io.Pipe()
	go func() {
		fmt.Fprint(w, headRefund+"\r\n")
		row := "`" + strings.Join(rowRefund(), ",`") + "\r\n"
		before, after, _ := strings.Cut(row, "5622435300878286848")
		buf := make([]byte, 0, 1<<16)
		for i := range n {
			buf = append(buf, before...)
			buf = strconv.AppendInt(buf, 5622435300878286848+int64(i), 10)
			if buf = append(buf, after...); len(buf) > 1<<15 || i == n-1 {
				if _, err := w.Write(buf); err != nil {
					return
				}
				buf = buf[:0]
			}
		}
		fmt.Fprintf(w, "%s\r\n`%d,`0.00,`%d.%02d,`0.00,`-%d.%02d,`0.00,`%d.%02d\r\n", headSums, n, n*28/100, n*28%100, n*27/100, n*27%100, n*29/100, n*29%100)
		w.Close()
	}()
	return r
}

// A million with the tag heavy, fewer without.
func TestALongBillNeedsLittleMemory(t *testing.T) {
	n := 100_000
	if heavy {
		n = 1_000_000
	}
	before := time.Now()
	h := sha1.New()
	b, err := OpenBill(manyRows(n), h)
	if err != nil {
		t.Fatal(err)
	}
	var peak uint64
	var m runtime.MemStats
	refunds := 0
	for _, err := range b.Refunds() {
		if err != nil {
			t.Fatal(err)
		}
		if refunds++; refunds%20_000 == 0 {
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
		}
	}
	t.Logf("%d rows, %d MB: %d MB of memory, %s", refunds, b.size>>20, peak>>20, time.Since(before).Round(time.Millisecond))
	if refunds != n || peak > 64<<20 {
		t.Errorf("%d refunds in %d bytes of memory, want %d in less than 64 MiB", refunds, peak, n)
	}
}

func BenchmarkBill(b *testing.B) {
	b.ReportAllocs()
	bill, err := OpenBill(manyRows(b.N), nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, err := range bill.Refunds() {
		if err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzBill: nothing makes the reader fail but with an error of its own, all that it hands
// out is in bounds, and what it has read whole it reads the same when packed.
func FuzzBill(f *testing.F) {
	f.Add(validBill())
	f.Add(validFunds())
	f.Add(pack(f, validBill()))
	f.Add(writeBill("", "\n", headOld, nil, headOldSums, "0", "0.00", "0.00", "0.00", "0.00"))
	f.Fuzz(func(t *testing.T, file []byte) {
		rows, _, err := readTrade(file)
		if err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.Asked < 1 || r.Refunded < 0 || r.Refunded > r.Asked || r.RefundID == "" || len(r.RefundID) > 64 || len(r.OutRefundNo) > 64 || !isCurrency(r.Currency) || r.Line < 2 {
				t.Fatalf("row %+v", r)
			}
		}
		moves, _, err := readFunds(file)
		if err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
			t.Fatal(err)
		}
		for _, m := range moves {
			if m.Amount < 0 || m.RefundID == "" || m.At.IsZero() || strings.ContainsAny(m.By+m.Remark, "\r\n") {
				t.Fatalf("movement %+v", m)
			}
		}
		if rows == nil || err != nil || len(file) > 1 && file[0] == 0x1f {
			return
		}
		if again, _, err := readTrade(pack(t, file)); err == nil && !cmp.Equal(rows, again) {
			t.Fatal("packed, it says something else")
		}
	})
}

// FuzzBillDifferential: whatever stands in the fields, what a simple writer writes is read
// back, or refused because of a field that the writer would not have.
func FuzzBillDifferential(f *testing.F) {
	f.Add("r-1", "5030", int64(29), "a,b", "{\"a\":\"`,b\"}", true)
	f.Add("r|1*@", "1", int64(1), ",`", ",`,`", false)
	f.Fuzz(func(t *testing.T, no, id string, fen int64, goods, attach string, crlf bool) {
		fen &= 1<<40 - 1
		eol := "\n"
		if crlf {
			eol = "\r\n"
		}
		amount := fmt.Sprintf("%d.%02d", fen/100, fen%100)
		row, want := rowRefund(), wantRefund()
		row[16], row[17], row[18], row[22], row[23], row[27] = id, no, amount, goods, attach, amount
		want.RefundID, want.OutRefundNo, want.Asked, want.Refunded = id, no, fen, fen
		got, _, err := readTrade(writeBill("", eol, headRefund, [][]string{row}, headSums, "1", "0.00", amount, "0.00", "-0.27", "0.00", amount))
		number := func(s string) bool {
			return s != "" && s != "0" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '`' })
		}
		if !number(no) || !number(id) || fen == 0 || len(goods)+len(attach) > 1<<15 || strings.ContainsAny(goods+attach, "\r\n") {
			return // these may be refused; FuzzBill says that no more than that happens
		}
		if diff := cmp.Diff([]TradeRow{want}, got); err != nil || diff != "" {
			t.Fatalf("error %v, rows (-want +got):\n%s", err, diff)
		}
	})
}
