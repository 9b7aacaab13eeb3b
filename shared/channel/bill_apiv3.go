package channel

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// apiv3Bills are the bills that APIv3 issues, and the accounts that refunds leave. A
// provider's own accounts say nothing of its sub-merchants' money; theirs have a bill of
// another kind, encrypted.
func apiv3Bills(subMchID string) (kinds []refund.BillKind, accounts []string) {
	if subMchID != "" {
		return []refund.BillKind{refund.TradeBill}, nil
	}
	return []refund.BillKind{refund.TradeBill, refund.FundsBill}, []string{"BASIC", "OPERATION"}
}

// Bill fetches a bill: of trade, the refunds alone (documents get-trade-bill and
// get-fund-flow-bill; the provider's 4012791866 for a sub-merchant, which is always named).
func (c *APIv3) Bill(ctx context.Context, q refund.BillQuery) (*refund.Bill, error) {
	return apiv3Bill(ctx, c.Client, c.SubMchID, q)
}

func apiv3Bill(ctx context.Context, client *wxpay.Client, subMchID string, q refund.BillQuery) (*refund.Bill, error) {
	kinds, accounts := apiv3Bills(subMchID)
	query, path := url.Values{"bill_date": {string(q.Day)}, "tar_type": {"GZIP"}}, "/v3/bill/tradebill"
	switch {
	case !slices.Contains(kinds, q.Kind) || q.Kind == refund.FundsBill && !slices.Contains(accounts, q.Account):
		return nil, refund.ErrNoBill
	case q.Kind == refund.FundsBill:
		path = "/v3/bill/fundflowbill"
		query.Set("account_type", q.Account)
	default:
		query.Set("bill_type", "REFUND")
		if subMchID != "" {
			query.Set("sub_mchid", subMchID)
		}
	}
	merchant := refund.Merchant{MchID: client.Signer.MchID, SubMchID: subMchID}
	return ticketBill(ctx, q, merchant, func() (wxpay.BillTicket, error) {
		reply, err := client.Do(ctx, http.MethodGet, path+"?"+query.Encode(), nil)
		if err != nil {
			return wxpay.BillTicket{}, unread("WeChat Pay did not give an answer about the bill that can be verified", err)
		}
		if reply.Status != http.StatusOK {
			return wxpay.BillTicket{}, billError(reply)
		}
		ticket, err := wxpay.ParseBillTicket(reply.Body)
		if err != nil {
			return wxpay.BillTicket{}, unread("WeChat Pay's answer does not say where the bill is", err)
		}
		return ticket, nil
	}, func(t wxpay.BillTicket, s *spool) (wxpay.Reply, error) {
		return client.Download(ctx, t.URL, s, maxBillFile)
	})
}

// errEmptyDay is within an error that says that a day has no bill, since nothing happened.
var errEmptyDay = errors.New("channel: the day is empty")

// ticketBill fetches a bill in two steps: where it is, and what it is. Where it is holds
// for a few minutes and once, so that what fails in the second step is tried once more from
// the first.
func ticketBill(ctx context.Context, q refund.BillQuery, m refund.Merchant, where func() (wxpay.BillTicket, error), fetch func(wxpay.BillTicket, *spool) (wxpay.Reply, error)) (*refund.Bill, error) {
	for last := false; ; last = true {
		ticket, err := where()
		if errors.Is(err, errEmptyDay) {
			return noBill(q), nil
		} else if err != nil {
			return nil, err
		}
		s, err := newSpool()
		if err != nil {
			return nil, err
		}
		reply, err := fetch(ticket, s)
		if err == nil && reply.Status == http.StatusOK {
			return s.bill(q, m, ticket)
		}
		_ = s.Close()
		switch {
		case errors.Is(err, wxpay.ErrElsewhere):
			return nil, unreadable("WeChat Pay's answer says that it is at an address that is not WeChat Pay's; nothing was sent there", err)
		case errors.Is(err, wxpay.ErrTooLarge):
			return nil, unreadable("it is larger than a bill can be", err)
		case !last && ctx.Err() == nil:
		case err != nil:
			return nil, unread("the bill did not come whole", err)
		default:
			return nil, billError(reply)
		}
	}
}

// billErrors are the error codes of APIv3's bills: those of its other calls, and one more.
func billErrors() map[string]meaning {
	m := apiv3Errors()
	m["STATEMENT_CREATING"] = meaning{refund.CodeUnavailable, refund.Later, false} // from ten o'clock on it is there
	delete(m, "RESOURCE_NOT_EXISTS")
	return m
}

// billError reads an answer that is neither a bill nor where one is.
func billError(reply wxpay.Reply) *refund.Error {
	var body struct{ Code, Message string }
	_ = json.Unmarshal(reply.Body, &body) // what cannot be read has no code
	return billRefusal(reply.Status, body.Code, body.Message)
}

func billRefusal(status int, code, text string) *refund.Error {
	refused := status >= 400 && status < 500 && status != http.StatusTooManyRequests
	e := unread("WeChat Pay answered without a bill", nil)
	switch m, ok := billErrors()[code]; {
	case code == "NO_STATEMENT_EXIST" && refused:
		e.Message, e.Err = "there is no bill of that day: nothing happened on it", errEmptyDay
	case code == "STATEMENT_CREATING" && refused:
		e.Message, e.RetryAfter = "WeChat Pay has not made the bill yet", billSoon
	case ok && refused:
		e = &refund.Error{Code: m.code, Next: m.next, Message: "WeChat Pay refuses the bill: " + cmp.Or(printable(text, 200), code)}
	}
	e.Upstream = printable(code, 32)
	return e
}
