package wecom

import (
	"fmt"
	"time"

	"wxrefund/shared/sandbox/bill"
	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
)

// billForm is the body of miniapppay/get_bill (WeCom document 98115, of December 2024).
var billForm = schema.Schema{
	{Path: "/mchid", Required: true, Min: 1, Max: 32},
	{Path: "/bill_date", Required: true, Min: 10, Max: 10},
	{Path: "/bill_type", Min: 1, Max: 32, Enum: []string{bill.All, bill.Success, bill.Refund}},
	{Path: "/tar_type", Min: 1, Max: 32, Enum: []string{"GZIP"}},
}

// billLife is how long the address of a bill can be used.
const billLife = 30 * time.Second

// getBill is POST /cgi-bin/miniapppay/get_bill. WeCom asks WeChat Pay on the merchant's
// behalf; auth is the Authorization with which the file is got there.
func (d *Door) getBill(x *door.Exchange) door.Reply {
	var in struct {
		MchID    string `json:"mchid"`
		BillDate string `json:"bill_date"`
		BillType string `json:"bill_type"`
		TarType  string `json:"tar_type"`
	}
	if no := read(x, billForm, &in); no != nil {
		return door.Reply{No: no}
	}
	day, ok := bill.Day(in.BillDate, time.DateOnly)
	switch {
	case in.MchID != world.MchID:
		return door.Reply{No: world.Refuse(world.CodeNoMerchant)}
	case !ok:
		return door.Reply{No: world.Refuse(world.CodeParam).Say("invalid Request Parameter: /bill_date")}
	}
	f, flaw, no := bill.Ask(d.world, system, x.Record, bill.Query{Day: day, Type: in.BillType})
	if no != nil {
		if no.Code == world.CodeNoBill || no.Code == world.CodeBillLater {
			no = no.Say(words[codes[no.Code]])
		}
		return door.Reply{No: no}
	}
	auth := fmt.Sprintf(`WECHATPAY2-SHA256-RSA2048 mchid="%s",nonce_str="%s",timestamp="%d",serial_no="%s",signature="%s"`,
		world.MchID, world.Random(32), time.Now().Unix(), world.Random(40), world.Random(342)+"==")
	token := d.bills.Put(d.world, bill.Offer{File: f, Packed: in.TarType != "", Authorization: auth}, billLife)
	return door.Reply{Object: map[string]string{
		"download_url": bill.URL(x.Request, flaw, token), "hash_type": "SHA1", "hash_value": f.Hash(), "auth": auth,
	}}
}
