package bill

import (
	"bufio"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"wxrefund/shared/sandbox/world"
)

// one is what amounts are counted in here: hundred-thousandths, as fees are written.
const one = 100000

// A cell is a value of a row: its text, and what it counts in a sum.
type cell struct {
	text string
	n    int64 // of one
}

func word(s string) cell { return cell{text: s} }

// digits is how many a currency's amounts have behind the point (ISO 4217).
func digits(currency string) int {
	switch currency {
	case "JPY", "KRW", "VND", "CLP", "ISK":
		return 0
	case "BHD", "JOD", "KWD", "OMR", "TND":
		return 3
	}
	return 2
}

// money writes an amount of a currency's smallest units.
func money(minor int64, currency string) cell {
	d, unit := digits(currency), int64(one)
	for range d {
		unit /= 10
	}
	return cell{decimal(minor*unit, d), minor * unit}
}

// fee writes one in yuan, to five digits.
func fee(fen int64) cell { return cell{decimal(fen*(one/100), 5), fen * (one / 100)} }

// decimal writes a number of hundred-thousandths to so many digits behind the point.
func decimal(n int64, digits int) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	s := sign + strconv.FormatInt(n/one, 10)
	if digits == 0 {
		return s
	}
	return s + "." + strconv.FormatInt(one+n%one, 10)[1:][:digits]
}

// A file is one that is being written: with a byte order mark, CRLF at the end of every
// line, and a back-tick before every value.
type file struct {
	out  *bufio.Writer
	flaw string
	rows int
}

func create(out io.Writer, flaw string) *file {
	f := &file{out: bufio.NewWriter(out), flaw: flaw}
	_, _ = f.out.WriteString("\ufeff") // an error is met again by whoever ends the file
	return f
}

func (f *file) headings(names []string) { f.line(strings.Join(names, ",")) }

func (f *file) values(texts []string) { f.line("`" + strings.Join(texts, ",`")) }

func (f *file) line(s string) { _, _ = f.out.WriteString(s + "\r\n") }

// unreadable is what stands in the amount of a row that nobody can read.
const unreadable = "壹元"

// spoil makes a row one that nobody can read, if that is the file's flaw and it has none yet.
func (f *file) spoil(texts []string, column int) {
	if f.flaw == "bad_row" {
		texts[column], f.flaw = unreadable, ""
	}
}

// sums writes the last two lines.
func (f *file) sums(names, texts []string) (int, error) {
	if last := len(texts) - 1; f.flaw == "bad_sums" {
		n, _ := strconv.ParseFloat(texts[last], 64)
		texts[last] = strconv.FormatFloat(n+1, 'f', 2, 64)
	}
	f.headings(names)
	f.values(texts)
	return f.rows, f.out.Flush()
}

// odd are what merchants call their goods, and attach to their orders, with all that
// separates values elsewhere.
var odd = [...][2]string{
	{`可乐,330ml "冰" 6'装,两箱`, `{"order":"1,2","tags":["a","b"],"note":"\"x\""}`},
	{"T恤`白`,大号", "a,b,`c"},
	{`""`, `,`},
}

func writeTrades(out io.Writer, trades iter.Seq[world.Trade], l layout, flaw string) (int, error) {
	f := create(out, flaw)
	names := make([]string, len(l.columns))
	for i, c := range l.columns {
		names[i] = c.heading
	}
	f.headings(names)
	texts, sums := make([]string, len(names)), map[string]int64{}
	spoilt := slices.IndexFunc(names, func(n string) bool { return n == "申请退款金额" || n == "退款金额" })
	payments := spoilt < 0
	if payments {
		spoilt = slices.Index(names, "应结订单金额")
	}
	for t := range trades {
		r := row{Trade: t, paymentsTimed: l.refund, goods: "商品"}
		if flaw == "odd_names" {
			r.goods, r.attach = odd[f.rows%len(odd)][0], odd[f.rows%len(odd)][1]
		}
		for i, c := range l.columns {
			v := c.of(r)
			texts[i] = v.text
			sums[c.heading] += v.n
		}
		if payments || r.Refund != nil {
			f.spoil(texts, spoilt)
		}
		f.values(texts)
		f.rows++
	}
	var totals, values []string
	for _, s := range l.sums {
		totals = append(totals, s.heading)
		switch s.column {
		case "":
			values = append(values, strconv.Itoa(f.rows))
		case "手续费":
			values = append(values, decimal(sums[s.column], 5))
		default:
			values = append(values, decimal(sums[s.column], 2))
		}
	}
	return f.sums(totals, values)
}

// Headings of a bill of an account, and of its sums
// (docs/merchant/products/bill-download/format-fundflow.html).
var (
	movementHeadings = []string{
		"记账时间", "微信支付业务单号", "资金流水单号", "业务名称", "业务类型", "收支类型", "收支金额(元)", "账户结余(元)", "资金变更提交申请人", "备注", "业务凭证号",
	}
	movementSums = []string{"资金流水总笔数", "收入笔数", "收入金额", "支出笔数", "支出金额"}
)

// opening is what is in an account at the beginning of each day, in fen: what it holds is
// not counted here.
const opening = 100_000_000

func writeMovements(out io.Writer, movements iter.Seq[world.Movement], flaw string) (int, error) {
	f := create(out, flaw)
	f.headings(movementHeadings)
	balance := int64(opening)
	var in, spent struct {
		n   int
		fen int64
	}
	for m := range movements {
		way := "支出"
		sum := &spent
		if m.Income {
			way, sum = "收入", &in
			balance += m.Amount
		} else {
			balance -= m.Amount
		}
		sum.n++
		sum.fen += m.Amount
		texts := []string{
			stamp(m.At).text, m.Business, m.Flow, m.Kind, m.Kind, way, money(m.Amount, "CNY").text, money(balance, "CNY").text, m.By, m.Remark, m.Voucher,
		}
		f.spoil(texts, 6)
		f.values(texts)
		f.rows++
	}
	return f.sums(movementSums, []string{
		strconv.Itoa(f.rows), strconv.Itoa(in.n), money(in.fen, "CNY").text, strconv.Itoa(spent.n), money(spent.fen, "CNY").text,
	})
}
