package channel

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// Bill fetches a bill of trade (WeCom document 98115). The file is WeChat Pay's, to which
// WeCom hands out the Authorization of one request: it goes nowhere else.
func (c *WeCom) Bill(ctx context.Context, q refund.BillQuery) (*refund.Bill, error) {
	if q.Kind != refund.TradeBill {
		return nil, refund.ErrNoBill
	}
	body, err := json.Marshal(map[string]string{"bill_date": string(q.Day), "mchid": c.MchID, "bill_type": "REFUND", "tar_type": "GZIP"})
	if err != nil {
		return nil, err
	}
	return ticketBill(ctx, q, refund.Merchant{MchID: c.MchID}, func() (wxpay.BillTicket, error) {
		raw, err := c.ask(ctx, "/cgi-bin/miniapppay/get_bill", body)
		if err != nil {
			return wxpay.BillTicket{}, wecomBillError(raw, err)
		}
		ticket, err := wxpay.ParseBillTicket(raw)
		if err == nil && (ticket.Auth == "" || strings.ContainsFunc(ticket.Auth, func(r rune) bool { return r < ' ' || r > '~' })) {
			err = wxpay.ErrFormat
		}
		if err != nil {
			return wxpay.BillTicket{}, unread("WeCom's answer does not say where the bill is", err)
		}
		return ticket, nil
	}, func(t wxpay.BillTicket, s *spool) (wxpay.Reply, error) {
		return c.download(ctx, t, s)
	})
}

func (c *WeCom) download(ctx context.Context, t wxpay.BillTicket, s *spool) (wxpay.Reply, error) {
	hosts := wxpay.BillHosts()
	if c.Host != "" {
		hosts = []string{c.Host}
	}
	u, err := wxpay.CheckBillURL(t.URL, hosts)
	if err != nil {
		return wxpay.Reply{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return wxpay.Reply{}, wxpay.ErrElsewhere // not err: it quotes the token
	}
	req.Header.Set("Authorization", t.Auth)
	req.Header.Set("Accept", "*/*")
	req.Header.Set("User-Agent", "wxrefund")
	return wxpay.Fetch(c.HTTP, req, s, maxBillFile)
}

// wecomBillError is why there is no bill: raw is the answer. Which errcode WeCom has for a
// day without trade is not public, but it passes WeChat Pay's words on.
func wecomBillError(raw json.RawMessage, err error) error {
	var answer struct {
		ErrMsg string `json:"errmsg"`
	}
	_ = json.Unmarshal(raw, &answer) // what cannot be read has no words
	e := *refund.AsError(err)
	e.MaybeNumberTaken, e.NotEnough = false, false
	switch {
	case e.Upstream == "":
	case saysNoBill(answer.ErrMsg):
		e.Err = errEmptyDay
	case saysCreating(answer.ErrMsg):
		e.Code, e.Message, e.RetryAfter = refund.CodeUnavailable, "WeChat Pay has not made the bill yet", billSoon
	case e.Code == refund.CodeUnavailable || e.Code == refund.CodeNotFound:
		e.Code, e.Message = refund.CodeUnavailable, "WeCom gave no bill, and answered errcode "+e.Upstream
	}
	if e.Code == refund.CodeUnavailable {
		e.Next = refund.Later
	}
	return &e
}
