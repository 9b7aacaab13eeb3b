package apiv3

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"wxrefund/shared/sandbox/bill"
	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/world"
)

// billLife is how long the address of a bill can be used (documents of 2025; older ones say
// half a minute).
const billLife = 5 * time.Minute

// tradeBill is GET /v3/bill/tradebill.
func (d *Door) tradeBill(x *door.Exchange) door.Reply {
	query, no := parseQuery(x.Request.URL.RawQuery, "bill_date", "bill_type", "tar_type", "sub_mchid")
	if no == nil {
		no = oneOf(query, "bill_type", "账单类型", "", bill.All, bill.Success, bill.Refund)
	}
	if no != nil {
		return door.Reply{No: no}
	}
	return d.issue(x, query, bill.Query{Type: query.Get("bill_type"), SubMchID: query.Get("sub_mchid")})
}

// fundFlowBill is GET /v3/bill/fundflowbill: of the merchant's own accounts.
func (d *Door) fundFlowBill(x *door.Exchange) door.Reply {
	query, no := parseQuery(x.Request.URL.RawQuery, "bill_date", "account_type", "tar_type")
	if no == nil {
		no = oneOf(query, "account_type", "资金账户类型", "", world.AccountBasic, world.AccountOperation, world.AccountFees)
	}
	if no != nil {
		return door.Reply{No: no}
	}
	account := query.Get("account_type")
	if account == "" {
		account = world.AccountBasic
	}
	return d.issue(x, query, bill.Query{Account: account})
}

// oneOf holds a parameter to the values that it can have.
func oneOf(query url.Values, name, label string, values ...string) *world.Refusal {
	if got := query.Get(name); !slices.Contains(values, got) {
		return world.RefuseField("query", name, got, "not one of its values", "输入源“/query/"+name+"”映射到枚举字段“"+label+"”规则校验失败")
	}
	return nil
}

// A billAddress is the answer to who asks for a bill.
type billAddress struct {
	HashType    string `json:"hash_type"`
	HashValue   string `json:"hash_value"`
	DownloadURL string `json:"download_url"`
}

// issue checks what both bills have in common, and answers where the file is.
func (d *Door) issue(x *door.Exchange, query url.Values, q bill.Query) door.Reply {
	day, ok := bill.Day(query.Get("bill_date"), time.DateOnly)
	no := oneOf(query, "tar_type", "压缩类型", "", "GZIP")
	switch {
	case !ok:
		no = world.RefuseField("query", "bill_date", query.Get("bill_date"), "not a date like 2019-06-11", "输入源“/query/bill_date”映射到字段“账单日期”校验失败，格式为yyyy-MM-DD")
	case no != nil:
	case q.SubMchID == world.MchID:
		no = world.Refuse(world.CodeInvalid).Say("普通商户不允许传sub_mchid")
	case q.SubMchID != "" && q.SubMchID != world.SubMchID:
		no = world.Refuse(world.CodeNoAuth).Say("特约商户号与服务商没有授权关系")
	}
	if no != nil {
		return door.Reply{No: no}
	}
	q.Day = day
	without := []string{}
	if q.Account != "" {
		without = []string{"old_layout", "odd_names"}
	}
	file, flaw, no := bill.Ask(d.world, system, x.Record, q, without...)
	if no != nil {
		return door.Reply{No: no}
	}
	packed := query.Get("tar_type") == "GZIP"
	more := ""
	if packed {
		more = "&tartype=gzip"
	}
	token := d.bills.Put(d.world, bill.Offer{File: file, Packed: packed}, billLife)
	return door.Reply{Object: billAddress{"SHA1", file.Hash(), bill.URL(x.Request, flaw, token) + more}}
}

// download is GET /v3/billdownload/file. The request is signed as all are, or bears the
// Authorization that came with the address. The answer is not signed, unless it is a refusal.
func (d *Door) download(w http.ResponseWriter, x *door.Exchange) {
	token := x.Request.URL.Query().Get("token")
	no := world.Refuse(world.CodeSign)
	switch lent := d.bills.Authorization(token); {
	case lent == "":
		no = d.admit(w, x)
	case x.Check("authorization", x.Request.Header.Get("Authorization") == lent, "the one that came with the address"):
		no = nil
	}
	if no != nil {
		d.answer(w, x, door.Reply{No: no}, world.UpstreamFault{})
		return
	}
	offer, ok := d.bills.Take(d.world, token)
	if !x.Check("token", ok, "of an address that is not used yet and not too old") {
		d.answer(w, x, door.Reply{No: world.Refuse(world.CodeInvalid).Say("下载地址已失效，请重新申请账单")}, world.UpstreamFault{})
		return
	}
	offer.Serve(d.world, w, x)
}
