package channel

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// Global carries refunds over WeChat Pay Global's v2 API (document
// WeChat Pay Global, Submit Refund): XML, signed
// with a shared key, over mutual TLS. SubMchID makes it institutional mode.
type Global struct {
	HTTP     *http.Client // with the merchant's client certificate
	Hosts    []string     // none: the hosts outside and inside mainland China
	Key      wxpay.APIKey
	SignType wxpay.SignType

	AppID, MchID, SubAppID, SubMchID string

	NotifyURL string       // where refund notifications go; "" for the one set on the merchant platform
	Log       *slog.Logger // is told which fields of an answer could not be read; nil: nobody is
}

// Refund submits the request once.
func (c *Global) Refund(ctx context.Context, req refund.Request) (refund.Refund, error) {
	m := v2Request(req)
	if c.NotifyURL != "" {
		m["notify_url"] = c.NotifyURL
	}
	v, err := c.call(ctx, refundPath, m, globalRefund)
	if err != nil {
		return refund.Refund{}, err
	}
	got := v.accepted()
	leftOut(ctx, c.Log, req.OutRefundNo, v.left)
	return got, v.about(got.OutRefundNo, req.OutRefundNo)
}

// Query asks by any of the four numbers.
func (c *Global) Query(ctx context.Context, l refund.Lookup) (refund.Page, error) {
	v, err := c.call(ctx, "/pay/refundquery", v2Lookup(l), v2Query)
	if err != nil {
		return refund.Page{}, err
	}
	page, err := v.answer(l)
	leftOut(ctx, c.Log, l.OutRefundNo, v.left)
	return page, err
}

// Order asks about an order (WeChat Pay Global, Query Order).
func (c *Global) Order(ctx context.Context, l refund.Lookup) (refund.PaidOrder, error) {
	return v2OrderOf(ctx, c.Log, l, func(m map[string]any) (*v2, error) { return c.call(ctx, "/pay/orderquery", m, v2OrderQuery) })
}

// Spec says what Global carries. The document allows fewer than 150 requests a
// second, fewer than 6 wrong ones, and fewer than 50 refunds of one order.
func (c *Global) Spec() refund.Spec {
	return refund.Spec{
		Name:          "global",
		NumberChars:   "_-|*@",
		OutRefundNo:   refund.Length{Min: 1, Max: 32},
		OutTradeNo:    refund.Length{Min: 1, Max: 32},
		TransactionID: refund.Length{Min: 1, Max: 32},
		Reason:        refund.Length{Min: 1, Max: 80},
		Lookups:       []string{"refund_id", "out_refund_no", "transaction_id", "out_trade_no"},
		OrderLookups:  byNumbers(),
		Bills:         v2Bills(),
		Rate:          149,
		BadRate:       5,
		MaxRefunds:    49,
		Pace:          time.Minute, // WeChat Pay Global's document 4012354972; v2's own, 4011984092, note 8
		Resend:        true,        // the same documents: what was refused is sent again under its number
	}
}

// Knock makes the connection over which refunds go, and asks for nothing: a GET, which no
// call of v2 is. What the web server says of the client certificate is in the reply.
func (c *Global) Knock(ctx context.Context) (wxpay.Reply, error) {
	return c.exchange(ctx, http.MethodGet, refundPath, nil)
}

// refundPath is the one that the web server wants a client certificate for.
const refundPath = "/secapi/pay/refund"

func (c *Global) call(ctx context.Context, path string, m map[string]any, of v2Call) (*v2, error) {
	fields, err := c.signed(m)
	if err != nil {
		return nil, err
	}
	reply, err := c.exchange(ctx, http.MethodPost, path, fields.XML())
	if err != nil {
		return nil, unanswered(err)
	}
	if reply.Status != http.StatusOK {
		return nil, unknown("WeChat Pay answered without a result", nil)
	}
	return c.read(reply.Body, of)
}

// signed is a request with who we are, and its signature.
func (c *Global) signed(m map[string]any) (wxpay.Fields, error) {
	fields := wxpay.Fields{
		"appid": c.AppID, "mch_id": c.MchID, "sub_appid": c.SubAppID, "sub_mch_id": c.SubMchID,
		"nonce_str": rand.Text(), "sign_type": string(c.SignType),
	}
	for name, value := range m {
		fields[name] = fmt.Sprint(value)
	}
	for name, value := range fields { // an empty field must not be sent, nor is it signed
		if value == "" {
			delete(fields, name)
		}
	}
	sign, err := c.Key.Sign(fields, c.SignType)
	if err != nil {
		return nil, unsigned(err)
	}
	fields["sign"] = sign
	return fields, nil
}

// unsigned is a request that cannot be signed. What a caller may write has been
// looked at before, so that the settings are to blame. Nothing has been sent, and
// the same request can be repeated when they are right, or another instance has them.
func unsigned(cause error) *refund.Error {
	return &refund.Error{
		Code: refund.CodeInternal, Next: refund.Later, Err: cause,
		Message: "the configuration is wrong, so nothing was sent: with WXPAY_API_KEY, WXPAY_SIGN_TYPE, WXPAY_APPID and WXPAY_MCHID as they are, no request can be signed",
	}
}

// read believes nothing before the signature holds. An answer with return_code
// FAIL has none, so it says nothing certain either.
func (c *Global) read(body []byte, of v2Call) (*v2, error) {
	fields, err := wxpay.ParseFields(body, "xml")
	if err != nil {
		return nil, unknown("WeChat Pay's answer cannot be read", err)
	}
	if fields["return_code"] != "SUCCESS" {
		return nil, unknown("WeChat Pay did not carry the request out: "+printable(fields["return_msg"], 100), nil)
	}
	if err := c.Key.Verify(fields, c.SignType); err != nil {
		return nil, unknown("WeChat Pay's answer is not signed", err)
	}
	// The sub-merchant is left out in one of the document's examples, so that it may be
	// absent, but never another.
	if fields["mch_id"] != c.MchID || fields["appid"] != c.AppID ||
		!absentOr(fields["sub_mch_id"], c.SubMchID) || !absentOr(fields["sub_appid"], c.SubAppID) {
		return nil, unknown("WeChat Pay's answer is about another merchant", nil)
	}
	if fields["result_code"] != "SUCCESS" {
		return nil, v2Error(fields, of)
	}
	return &v2{fields: fields, cash: "CNY"}, nil // the default of cash_fee_type (WeChat Pay Global, Submit Refund)
}

func absentOr(told, ours string) bool { return told == "" || told == ours }

// exchange asks the first host to which there is a connection.
func (c *Global) exchange(ctx context.Context, method, path string, body []byte) (wxpay.Reply, error) {
	return wxpay.Failover(c.hosts(), func(host string) (wxpay.Reply, error) {
		req, err := c.request(ctx, host, method, path, body)
		if err != nil {
			return wxpay.Reply{}, err
		}
		return wxpay.Exchange(c.HTTP, req)
	})
}

func (c *Global) hosts() []string {
	if len(c.Hosts) == 0 { // the first is for servers outside mainland China; each stands in for the other
		return []string{"https://apihk.mch.weixin.qq.com", "https://api.mch.weixin.qq.com"}
	}
	return c.Hosts
}

func (c *Global) request(ctx context.Context, host, method, path string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, host+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", wxpay.ErrUnsent, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	}
	req.Header.Set("User-Agent", "wxrefund")
	return req, nil
}
