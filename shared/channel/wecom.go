package channel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"wxrefund/shared/lock"
	"wxrefund/shared/refund"
	"wxrefund/shared/secret"
	"wxrefund/shared/wxpay"
)

// WeCom carries refunds of 对外收款 (WeCom documents 97333 and 97352).
// Its reply says accepted and no more; the truth is the query's.
type WeCom struct {
	HTTP         *http.Client
	Host         string // "": WeCom's own
	CorpID       string
	CorpSecret   secret.Value[string]
	MchID, AppID string
	Log          *slog.Logger // is told which fields of an answer could not be read; nil: nobody is

	turn  lock.Mutex // held while a token is fetched, so that concurrent callers share one
	token secret.Value[string]
	until time.Time
}

// Format hides secret and token, whatever the verb.
func (c *WeCom) Format(f fmt.State, _ rune) { secret.Mask(f, "[WeCom "+c.CorpID+"]") }

// tokenMargin is how long before its end a token is no longer used.
const tokenMargin = 5 * time.Minute

// maxTokenLife, in seconds, is what WeCom documents, and as much as is believed.
const maxTokenLife = 7200

// wecomRefund is the body of both calls; a query has the first two fields.
type wecomRefund struct {
	MchID        string       `json:"mchid"`
	OutRefundNo  string       `json:"out_refund_no"`
	AppID        string       `json:"appid,omitempty"`
	OutTradeNo   string       `json:"out_trade_no,omitempty"`
	Reason       string       `json:"reason,omitempty"`
	FundsAccount string       `json:"funds_account,omitempty"`
	Amount       *wecomAmount `json:"amount,omitempty"`
}

type wecomAmount struct {
	Refund   int64  `json:"refund"`
	Total    int64  `json:"total"`
	Currency string `json:"currency"`
}

// Refund submits the request once.
func (c *WeCom) Refund(ctx context.Context, req refund.Request) (refund.Refund, error) {
	got, err := c.call(ctx, "/cgi-bin/miniapppay/refund", wecomRefund{
		MchID: c.MchID, AppID: c.AppID, OutTradeNo: req.OutTradeNo, OutRefundNo: req.OutRefundNo,
		Reason: req.Reason, FundsAccount: req.FundsAccount,
		Amount: &wecomAmount{req.Amount.Refund, req.Amount.Total, req.Amount.Currency},
	})
	if e := refund.AsError(err); err != nil && aboutRefunds(e.Upstream) && e.Upstream != wecomNoOrder {
		e.MaybeNumberTaken = true // which code of the family says so is not public
	}
	if err != nil {
		return refund.Refund{}, err
	}
	got.Status = refund.StatusProcessing // accepted is all that the reply means
	return got, nil
}

// Query asks about one refund. A code of the family about refunds means that
// WeCom has none to show: which of them says that there is none is not public. A
// refused permission, IP address or field is of another family, and stays what it is.
func (c *WeCom) Query(ctx context.Context, l refund.Lookup) (refund.Page, error) {
	got, err := c.call(ctx, "/cgi-bin/miniapppay/get_refund_detail", wecomRefund{MchID: c.MchID, OutRefundNo: l.OutRefundNo})
	if e := refund.AsError(err); err != nil && aboutRefunds(e.Upstream) {
		err = &refund.Error{Code: refund.CodeNotFound, Next: refund.LaterOrFix, Upstream: e.Upstream, Message: "WeCom shows no such refund: errcode " + e.Upstream}
	}
	return single(got, err)
}

// Order asks about an order, by the merchant's number alone (WeCom document 97323). The
// answer does not say of which program its payer is.
func (c *WeCom) Order(ctx context.Context, l refund.Lookup) (refund.PaidOrder, error) {
	by, err := orderBy(l, c.Spec().OrderLookups)
	if err != nil {
		return refund.PaidOrder{}, err
	}
	body, err := json.Marshal(map[string]string{"mchid": c.MchID, by.name: by.value})
	if err != nil {
		return refund.PaidOrder{}, err
	}
	raw, err := c.ask(ctx, "/cgi-bin/miniapppay/get_order", body)
	if err != nil {
		return refund.PaidOrder{}, aboutOrder(err)
	}
	got, left, err := readOrder(raw)
	if err != nil {
		return refund.PaidOrder{}, orderUnknown("WeCom's answer is no order", err)
	}
	leftOutOf(ctx, c.Log, by, left)
	if !absentOr(got.of.mchID, c.MchID) {
		return refund.PaidOrder{}, orderUnknown("WeCom's answer is about another merchant", nil)
	}
	return checkedOrder(got.PaidOrder, by)
}

// Spec says what WeCom carries.
func (c *WeCom) Spec() refund.Spec {
	return refund.Spec{
		Name:          "wecom",
		NumberChars:   "_-|*@",
		OutRefundNo:   refund.Length{Min: 1, Max: 64},
		OutTradeNo:    refund.Length{Min: 6, Max: 32},
		Reason:        refund.Length{Min: 1, Max: 80},
		Currencies:    []string{"CNY"},
		FundsAccounts: []string{"AVAILABLE"},
		Lookups:       []string{"out_refund_no"},
		OrderLookups:  []string{"out_trade_no"},
		Bills:         []refund.BillKind{refund.TradeBill},
		Rate:          150,
		Pace:          time.Minute, // WeCom document 97333, as everywhere: WeChat Pay's 4012552567, note 9
	}
}

// call makes a call about one refund.
func (c *WeCom) call(ctx context.Context, path string, body wecomRefund) (refund.Refund, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return refund.Refund{}, err
	}
	raw, err := c.ask(ctx, path, b)
	if err != nil {
		return refund.Refund{}, err
	}
	got, left, err := readRefund(raw)
	switch {
	case err != nil:
		return refund.Refund{}, unknown("WeCom's answer cannot be read", err)
	case got.OutRefundNo != body.OutRefundNo:
		return got, unknown("WeCom's answer is about another refund", nil)
	case got.Amount.Refund < 1: // both documents' answers say it
		return got, unknown("WeCom's answer has no amount", nil)
	}
	leftOut(ctx, c.Log, got.OutRefundNo, left)
	return got, nil
}

// ask makes a call with a token, and once more with a new one if WeCom says that it has
// died: a call with a dead token has not been carried out. With an error that has an
// errcode the answer comes all the same.
func (c *WeCom) ask(ctx context.Context, path string, body []byte) (json.RawMessage, error) {
	var dead, upstream string
	for range 2 {
		token, err := c.accessToken(ctx, dead)
		if err != nil {
			return nil, err
		}
		raw, code, err := c.post(ctx, path, token, body)
		if !expired(code) {
			return raw, err
		}
		dead, upstream = token, fmt.Sprint(code)
	}
	e := unknown("WeCom refuses every token", nil)
	e.Upstream, e.Unsent = upstream, true
	return nil, e
}

func (c *WeCom) post(ctx context.Context, path, token string, body []byte) (raw json.RawMessage, code int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.host()+path+"?access_token="+url.QueryEscape(token), bytes.NewReader(body))
	if err != nil {
		return nil, 0, errors.New("channel: WeCom's host is malformed") // not err: it quotes the token
	}
	req.Header.Set("Content-Type", "application/json")
	if err := c.exchange(req, &raw); err != nil {
		return nil, 0, err
	}
	var answer struct {
		ErrCode *int `json:"errcode"`
	}
	if json.Unmarshal(raw, &answer) != nil || answer.ErrCode == nil {
		return nil, 0, unknown("WeCom's answer has no errcode", nil)
	}
	if *answer.ErrCode != 0 {
		return raw, *answer.ErrCode, wecomError(*answer.ErrCode)
	}
	return raw, 0, nil
}

// exchange sends a request and decodes the answer. Its errors leave the outcome open.
func (c *WeCom) exchange(req *http.Request, answer any) error {
	req.Header.Set("User-Agent", "wxrefund")
	reply, err := wxpay.Exchange(c.HTTP, req)
	if err != nil {
		return unanswered(err)
	}
	if reply.Status != http.StatusOK {
		return unknown("WeCom answered without a result", nil)
	}
	if err := json.Unmarshal(reply.Body, answer); err != nil {
		return unknown("WeCom's answer cannot be read", err)
	}
	return nil
}

// accessToken returns a token that is good for a while, and is not the dead one.
// Nothing has been sent if there is none.
func (c *WeCom) accessToken(ctx context.Context, dead string) (string, error) {
	if err := c.turn.Lock(ctx); err != nil {
		return "", unsent(unknown("the time for this call has run out", err))
	}
	defer c.turn.Unlock()
	if token := c.token.Reveal(); token != "" && token != dead && time.Now().Before(c.until) {
		return token, nil
	}
	q := url.Values{"corpid": {c.CorpID}, "corpsecret": {c.CorpSecret.Reveal()}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.host()+"/cgi-bin/gettoken?"+q.Encode(), nil)
	if err != nil {
		return "", errors.New("channel: WeCom's host is malformed") // not err: it quotes the secret
	}
	var answer struct {
		ErrCode   int    `json:"errcode"`
		Token     string `json:"access_token"`
		ExpiresIn int64  `json:"expires_in"`
	}
	if err := c.exchange(req, &answer); err != nil {
		return "", unsent(err)
	}
	if answer.ErrCode != 0 || answer.Token == "" {
		return "", unsent(wecomError(answer.ErrCode))
	}
	c.token = secret.Text(answer.Token)
	c.until = time.Now().Add(time.Duration(min(max(answer.ExpiresIn, 0), maxTokenLife))*time.Second - tokenMargin)
	return answer.Token, nil
}

// unsent marks that the refund itself has not left.
func unsent(err error) error {
	e := *refund.AsError(err)
	e.Unsent = true
	return &e
}

func (c *WeCom) host() string {
	if c.Host != "" {
		return c.Host
	}
	return "https://qyapi.weixin.qq.com"
}
