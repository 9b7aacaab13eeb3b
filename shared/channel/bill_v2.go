package channel

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// maxWrapped bounds, in bytes, a bill that comes within JSON, and so is read in memory.
const maxWrapped = 16 << 20

// v2Bills are the bills that v2 systems issue: abroad and through CloudPay there is none of
// an account.
func v2Bills() []refund.BillKind { return []refund.BillKind{refund.TradeBill} }

// v2BillRequest asks for the refunds of a day (document 4011939779 of v2, 下载交易账单).
func v2BillRequest(q refund.BillQuery) map[string]any {
	return map[string]any{"bill_date": strings.ReplaceAll(string(q.Day), "-", ""), "bill_type": "REFUND"}
}

// Bill fetches a bill of trade. A text is one; XML says why there is none.
func (c *Global) Bill(ctx context.Context, q refund.BillQuery) (*refund.Bill, error) {
	if q.Kind != refund.TradeBill {
		return nil, refund.ErrNoBill
	}
	m := v2BillRequest(q)
	m["tar_type"], m["sub_appid"] = "GZIP", "" // the call has no sub_appid
	fields, err := c.signed(m)
	if err != nil {
		return nil, err
	}
	s, err := newSpool()
	if err != nil {
		return nil, err
	}
	reply, err := wxpay.Failover(c.hosts(), func(host string) (wxpay.Reply, error) {
		req, err := c.request(ctx, host, http.MethodPost, "/pay/downloadbill", fields.XML())
		if err != nil {
			return wxpay.Reply{}, err
		}
		return wxpay.Fetch(c.HTTP, req, s, maxBillFile)
	})
	return v2Bill(s, q, refund.Merchant{MchID: c.MchID, SubMchID: c.SubMchID}, reply, err)
}

// Bill fetches a bill of trade (CloudPay.downloadBill). It comes as JSON, and not packed.
func (c *CloudPay) Bill(ctx context.Context, q refund.BillQuery) (*refund.Bill, error) {
	if q.Kind != refund.TradeBill {
		return nil, refund.ErrNoBill
	}
	m := v2BillRequest(q)
	m["sub_mch_id"], m["nonce_str"] = c.SubMchID, rand.Text()
	request, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	s, err := newSpool()
	if err != nil {
		return nil, err
	}
	reply, err := c.Gateway.PayFile(ctx, "downloadBill", request, s, maxBillFile)
	return v2Bill(s, q, refund.Merchant{SubMchID: c.SubMchID}, reply, err)
}

// v2Bill reads what a v2 system answered, and closes s unless it hands it out.
func v2Bill(s *spool, q refund.BillQuery, m refund.Merchant, reply wxpay.Reply, err error) (*refund.Bill, error) {
	switch {
	case errors.Is(err, wxpay.ErrTooLarge):
		err = unreadable("it is larger than a bill can be", err)
	case err != nil:
		e := unanswered(err)
		e.Message, e.Next = "WeChat Pay did not give a whole answer about the bill", refund.Later
		err = e
	case reply.Status != http.StatusOK:
		err = unread("WeChat Pay answered without a bill", nil)
	default:
		err = s.unwrap()
	}
	if err == nil {
		return s.bill(q, m, wxpay.BillTicket{})
	}
	_ = s.Close()
	if errors.Is(err, errEmptyDay) {
		return noBill(q), nil
	}
	return nil, err
}

// unwrap leaves the bill alone in the file: CloudPay's comes within JSON, as a text. Its
// error says why there is none.
func (s *spool) unwrap() error {
	head := make([]byte, 64)
	n, err := s.reader().Read(head)
	if err != nil && !errors.Is(err, io.EOF) {
		return unread("the answer that came cannot be read again", err)
	}
	head = bytes.TrimLeft(bytes.TrimPrefix(head[:n], []byte("\ufeff")), " \t\r\n")
	if len(head) == 0 || head[0] != '<' && head[0] != '{' {
		return nil
	}
	if s.size > maxWrapped {
		return unreadable("it is larger than a bill within JSON can be", wxpay.ErrTooLarge)
	}
	whole, err := io.ReadAll(s.reader())
	if err != nil {
		return unread("the answer that came cannot be read again", err)
	}
	text, err := v2BillText(whole, 0)
	if err != nil {
		return err
	}
	if err = s.file.Truncate(0); err == nil {
		_, err = s.file.WriteAt([]byte(text), 0)
	}
	if err != nil {
		return &refund.Error{Code: refund.CodeInternal, Next: refund.Later, Message: "there is no room for the bill", Err: err}
	}
	s.size = int64(len(text))
	return nil
}

// v2BillText is the bill in an answer, or why there is none: {errcode, respdata} around a
// text, or what v2 says itself as an object, as JSON in a text, or as XML.
func v2BillText(answer []byte, depth int) (string, error) {
	trimmed := bytes.TrimLeft(bytes.TrimPrefix(answer, []byte("\ufeff")), " \t\r\n")
	switch {
	case depth > 2:
		return "", unread("the answer about the bill cannot be read", nil)
	case bytes.HasPrefix(trimmed, []byte("<")):
		fields, err := wxpay.ParseFields(trimmed, "xml")
		if err != nil {
			return "", unread("the answer about the bill cannot be read", err)
		}
		return "", v2BillError(fields)
	case !bytes.HasPrefix(trimmed, []byte("{")):
		return string(answer), nil
	}
	decoded, err := decodeJSON(trimmed)
	if err != nil {
		return "", unread("the answer about the bill cannot be read", err)
	}
	object, _ := decoded.(map[string]any)
	var f failure
	if f.note(object); f.failed && object["return_code"] == nil {
		e := unread("CloudBase gave no bill", nil)
		e.Upstream = printable(f.code, 64)
		return "", e
	}
	data, ok := object["respdata"]
	if !ok {
		data = object["resp_data"] // as camel case is read
	}
	switch data := data.(type) {
	case string:
		return v2BillText([]byte(data), depth+1)
	case map[string]any:
		object = data
	}
	fields := map[string]string{}
	for name, value := range object {
		switch v := value.(type) {
		case string:
			fields[name] = v
		case json.Number:
			fields[name] = v.String()
		}
	}
	return "", v2BillError(fields)
}

// v2BillError is why there is no bill. The code 20002 is told with more than one text, so
// that the text decides; it is one of a few and in English.
func v2BillError(fields map[string]string) error {
	code := printable(cmp.Or(fields["error_code"], fields["err_code"]), 32)
	text := printable(cmp.Or(fields["err_code_des"], fields["return_msg"]), 200)
	failed := fields["return_code"] == "FAIL" || fields["result_code"] == "FAIL"
	e := unread("WeChat Pay answered without a bill", nil)
	m, ok := v2Errors()[code]
	if word := strings.ToUpper(strings.ReplaceAll(text, " ", "")); !ok && failed {
		if m, ok = v2Errors()[word]; ok { // numbers have words beside them, as SIGN ERROR
			code = word
		}
	}
	switch {
	case !failed:
	case saysNoBill(code + " " + text):
		e.Message, e.Err = "there is no bill of that day: nothing happened on it", errEmptyDay
	case saysCreating(code + " " + text):
		e.Message, e.RetryAfter = "WeChat Pay has not made the bill yet", billSoon
	case ok && m.code != refund.CodeUnavailable && m.code != refund.CodeNotFound:
		e = &refund.Error{Code: m.code, Next: m.next, Message: "WeChat Pay refuses the bill: " + cmp.Or(text, code)}
	default:
		e.Message = "WeChat Pay gave no bill: " + cmp.Or(text, code)
	}
	e.Upstream = code
	return e
}

// saysNoBill and saysCreating know the words of v2 and of APIv3, which others pass on.
func saysNoBill(text string) bool {
	return says(text, "no bill exist") || says(text, "no statement exist")
}

func saysCreating(text string) bool {
	return says(text, "bill creating") || says(text, "statement creating")
}

func says(text, words string) bool {
	return strings.Contains(strings.ToLower(strings.ReplaceAll(text, "_", " ")), words)
}
