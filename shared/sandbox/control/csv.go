package control

import (
	"bytes"
	"encoding/csv"
	"math"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A file is an answer that is not JSON and that a browser keeps.
type file struct {
	name, media string
	body        []byte
}

func (f file) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", f.media)
	w.Header().Set("Content-Disposition", `attachment; filename="`+f.name+`"`)
	_, _ = w.Write(f.body) // the client may have gone; that is its affair
}

// columns are those of the file of refunds. Amounts are in the currency's major unit.
var columns = []struct {
	name string
	of   func(row) string
}{
	{"at", func(r row) string { return r.At }},
	{"out_refund_no", func(r row) string { return cell(r.OutRefundNo) }},
	{"refund_id", func(r row) string { return cell(r.RefundID) }},
	{"out_trade_no", func(r row) string { return cell(r.OutTradeNo) }},
	{"transaction_id", func(r row) string { return cell(r.TransactionID) }},
	{"currency", func(r row) string { return cell(r.Currency) }},
	{"refund", func(r row) string { return decimal(r.Refund, r.Currency) }},
	{"total", func(r row) string { return decimal(r.Total, r.Currency) }},
	{"status", func(r row) string { return cell(r.Status) }},
	{"in_doubt", func(r row) string { return strconv.FormatBool(r.InDoubt) }},
	{"undelivered", func(r row) string { return strconv.FormatBool(r.Undelivered) }},
	{"owed", func(r row) string { return strconv.FormatBool(r.Owed) }},
	{"by_hand", func(r row) string { return strconv.FormatBool(r.ByHand) }},
	{"ours_state", func(r row) string { return r.Merchant.text(func(o *record) string { return cell(o.State) }) }},
	{"ours_held", func(r row) string { return decimal(r.Merchant.held(), r.Currency) }},
	{"ours_arrived", func(r row) string { return decimal(r.Merchant.arrived(), r.Currency) }},
	{"ours_refusal", func(r row) string { return r.Merchant.text(func(o *record) string { return cell(o.Refusal) }) }},
	{"wechat_state", func(r row) string { return r.WeChat.text(func(o *record) string { return cell(o.State) }) }},
	{"wechat_held", func(r row) string { return decimal(r.WeChat.held(), r.Currency) }},
	{"wechat_arrived", func(r row) string { return decimal(r.WeChat.arrived(), r.Currency) }},
	{"difference_held", func(r row) string { return decimal(r.Held, r.Currency) }},
	{"difference_arrived", func(r row) string { return decimal(r.Arrived, r.Currency) }},
}

// text is nothing where a side has nothing.
func (r *record) text(of func(*record) string) string {
	if r == nil {
		return ""
	}
	return of(r)
}

// exact is how many digits of a number a spreadsheet keeps.
const exact = 15

// cell writes a text that came from elsewhere so that a spreadsheet takes it for text: not
// for a formula, which could send away what stands beside it, and a number of twenty-eight
// digits not for one that can be rounded.
func cell(text string) string {
	switch first, _ := utf8.DecodeRuneInString(text); {
	case text != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", first):
		return "'" + text
	case len(text) > exact && strings.Trim(text, "0123456789") == "":
		return "\t" + text
	}
	return text
}

// bom tells spreadsheets that a file is in UTF-8.
const bom = "\xef\xbb\xbf"

func (d *Door) viewRefundsCSV(r *http.Request, _ []byte) (any, error) {
	p := readParams(r)
	filter := p.refundFilter()
	if err := p.bad(); err != nil {
		return nil, err
	}
	found, _ := d.listRefunds(r.Context(), filter, page{limit: math.MaxInt})
	b := bytes.NewBufferString(bom)
	out := csv.NewWriter(b)
	out.UseCRLF = true // RFC 4180
	record := make([]string, len(columns))
	for i, c := range columns {
		record[i] = c.name
	}
	_ = out.Write(record) // to memory, as all that follows
	for _, x := range found {
		for i, c := range columns {
			record[i] = c.of(x)
		}
		_ = out.Write(record)
	}
	out.Flush()
	return file{"refunds.csv", "text/csv; charset=utf-8", b.Bytes()}, nil
}
