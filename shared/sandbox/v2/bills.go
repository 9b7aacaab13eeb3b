package v2

import (
	"net"
	"net/http"
	"slices"
	"strings"

	"wxrefund/shared/sandbox/bill"
	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
	"wxrefund/shared/wxpay"
)

// billForm is the body of POST /pay/downloadbill (document 4011939779 of v2), and with a
// number of CloudPay's the requestData of CloudPay.downloadBill.
var billForm = schema.Schema{
	{Path: "/nonce_str", Required: true, Min: 1, Max: 32},
	{Path: "/sub_mch_id", Max: 32, Form: schema.FormDigits},
	{Path: "/device_info", Max: 32},
	{Path: "/bill_date", Required: true, Min: 8, Max: 8, Form: schema.FormDigits},
	{Path: "/bill_type", Max: 16, Enum: []string{bill.All, bill.Success, bill.Refund, bill.Recharge}},
	{Path: "/tar_type", Max: 8, Enum: []string{"GZIP"}},
}

// fundsForm is the body of POST /pay/downloadfundflow.
var fundsForm = schema.Schema{
	{Path: "/nonce_str", Required: true, Min: 1, Max: 32},
	{Path: "/bill_date", Required: true, Min: 8, Max: 8, Form: schema.FormDigits},
	{Path: "/account_type", Required: true, Enum: []string{"Basic", "Operation", "Fees"}},
	{Path: "/tar_type", Max: 8, Enum: []string{"GZIP"}},
}

// billFailures are what v2 says where there is no bill. Of the numbers only that of a day
// without one is in a document; what else it is about clients tell by the words.
var billFailures = map[string]struct{ number, words string }{
	world.CodeNoBill:    {"20002", "No Bill Exist"},
	world.CodeBillLater: {"20003", "Bill Creating"},
	world.CodeNoAuth:    {"20007", "NOAUTH"},
	world.CodeParam:     {"20001", "data format error"},
	world.CodeInvalid:   {"20001", "invalid bill_date"},
	world.CodeSystem:    {"20100", "SYSTEMERROR"},
}

// refuseBill is what is said instead of a file: that there was no understanding at all.
func refuseBill(no *world.Refusal) wxpay.Fields {
	says, ok := billFailures[no.Code]
	if !ok {
		code, words := translate(no)
		says.number, says.words = code, words
	}
	return wxpay.Fields{"return_code": "FAIL", "return_msg": says.words, "error_code": says.number}
}

// lackV2 are the faults that v2's bills cannot suffer: they come with the answer itself.
var lackV2 = []string{"wrong_hash", "foreign_host"}

// domestic are the hosts by which WeChat Pay is called at home. All others, this machine's
// name too, are WeChat Pay Global, as everywhere in this package.
var domestic = []string{"api.mch.weixin.qq.com", "api2.mch.weixin.qq.com"}

// downloadBill is POST /pay/downloadbill: a file, or XML that says why there is none.
func (d *Door) downloadBill(w http.ResponseWriter, q asked, _ wxpay.Fields) {
	layout := bill.Abroad
	host := q.Request.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if slices.Contains(domestic, strings.ToLower(host)) {
		layout = bill.Domestic
	}
	f, no := d.tradeBill(q, layout)
	if no != nil {
		d.write(w, q.Exchange, http.StatusOK, refuseBill(no), world.UpstreamFault{})
		return
	}
	bill.Offer{File: f, Packed: q.text("tar_type") == "GZIP"}.Serve(d.world, w, q.Exchange)
}

// tradeBill issues what is asked for.
func (d *Door) tradeBill(q asked, layout int) (*bill.File, *world.Refusal) {
	if v := q.CheckBody(billForm.Check(q.node)); v != nil {
		return nil, refuseForm(v)
	}
	sub := q.text("sub_mch_id")
	if no := world.CheckSubMchID(sub); no != nil {
		return nil, no
	}
	day, ok := bill.Day(q.text("bill_date"), "20060102")
	if !ok {
		return nil, world.Refuse(world.CodeParam)
	}
	without := lackV2
	if layout == bill.Abroad {
		without = append(slices.Clone(without), "old_layout")
	}
	f, _, no := bill.Ask(d.world, system, q.Record, bill.Query{Day: day, Type: q.text("bill_type"), SubMchID: sub, Layout: layout}, without...)
	return f, no
}

// downloadFundFlow is POST /pay/downloadfundflow: only over mutual TLS, and only signed with
// HMAC-SHA256.
func (d *Door) downloadFundFlow(w http.ResponseWriter, q asked, f wxpay.Fields) {
	file, no := d.fundsBill(q, f)
	if no != nil {
		d.answer(w, q.Exchange, f, door.Reply{No: no}, world.UpstreamFault{})
		return
	}
	w.Header().Set("Digest", "SHA="+file.Hash())
	bill.Offer{File: file, Packed: q.text("tar_type") == "GZIP"}.Serve(d.world, w, q.Exchange)
}

func (d *Door) fundsBill(q asked, f wxpay.Fields) (*bill.File, *world.Refusal) {
	if !q.Check("sign_type", signType(f) == wxpay.SignHMACSHA256, "HMAC-SHA256 alone") {
		return nil, world.Refuse(world.CodeSign)
	}
	if v := q.CheckBody(fundsForm.Check(q.node)); v != nil {
		return nil, refuseForm(v)
	}
	day, ok := bill.Day(q.text("bill_date"), "20060102")
	if !ok {
		return nil, world.Refuse(world.CodeParam).Say("参数格式有误:bill_date")
	}
	file, _, no := bill.Ask(d.world, system, q.Record, bill.Query{Day: day, Account: strings.ToUpper(q.text("account_type"))}, "foreign_host", "old_layout", "odd_names")
	return file, no
}

// payBill is CloudPay.downloadBill: the file as a text, never packed, or what v2 says.
func (d *Door) payBill(q asked, options []byte) Message {
	f, no := d.tradeBill(q, bill.Domestic)
	if no == nil {
		no = checkOptions(options)
	}
	m := Message{"errcode": 0, "errmsg": "ok"}
	if no != nil {
		q.Record.Refuse(no.Code)
		m["respdata"] = refuseBill(no)
		return m
	}
	var text strings.Builder
	_ = f.Write(&text, false) // into memory
	m["respdata"] = text.String()
	return m
}
