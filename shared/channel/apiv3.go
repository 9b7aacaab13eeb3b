package channel

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

const refundsPath = "/v3/refund/domestic/refunds"

// APIv3 carries refunds to WeChat Pay APIv3, for a direct merchant or, with
// SubMchID, for a service provider's sub-merchant (documents 4012791862 and
// 4012886219).
type APIv3 struct {
	Client    *wxpay.Client // required
	SubMchID  string        // of a service provider only
	NotifyURL string        // where refund notifications go; "" for the one set on the merchant platform
	Log       *slog.Logger  // is told which fields of an answer could not be read; nil: nobody is
}

// apiv3Refund is the body of an application for a refund.
type apiv3Refund struct {
	SubMchID string `json:"sub_mchid,omitempty"`
	refund.Request
	NotifyURL string `json:"notify_url,omitempty"`
}

// Refund submits the request once.
func (c *APIv3) Refund(ctx context.Context, req refund.Request) (refund.Refund, error) {
	body, err := json.Marshal(apiv3Refund{c.SubMchID, req, c.NotifyURL})
	if err != nil {
		return refund.Refund{}, err
	}
	return c.do(ctx, http.MethodPost, refundsPath, body, req.OutRefundNo)
}

// Query asks about one refund by its number, the only one by which APIv3 finds a refund.
func (c *APIv3) Query(ctx context.Context, l refund.Lookup) (refund.Page, error) {
	uri := refundsPath + "/" + url.PathEscape(l.OutRefundNo)
	if c.SubMchID != "" {
		uri += "?sub_mchid=" + url.QueryEscape(c.SubMchID)
	}
	return single(c.do(ctx, http.MethodGet, uri, nil, l.OutRefundNo))
}

// single is the page of one refund. What refuses a question says nothing of who
// has the number.
func single(r refund.Refund, err error) (refund.Page, error) {
	if err != nil {
		if e, ok := errors.AsType[*refund.Error](err); ok {
			e.MaybeNumberTaken = false
		}
		return refund.Page{}, err
	}
	return refund.Page{TotalRefundCount: 1, RefundCount: 1, Refunds: []refund.Refund{r}}, nil
}

// Spec says what APIv3 carries.
func (c *APIv3) Spec() refund.Spec {
	s := apiv3Spec()
	s.Abnormal = true
	s.Bills, s.BillAccounts = apiv3Bills(c.SubMchID)
	return s
}

// apiv3Spec is what APIv3 carries of refunds.
func apiv3Spec() refund.Spec {
	return refund.Spec{
		Name:          "apiv3",
		NumberChars:   "_-|*@",
		OutRefundNo:   refund.Length{Min: 1, Max: 64},
		OutTradeNo:    refund.Length{Min: 1, Max: 32}, // an older text asks for at least 6
		TransactionID: refund.Length{Min: 1, Max: 32},
		Reason:        refund.Length{Min: 1, Max: 80},
		Currencies:    []string{"CNY"},
		FundsAccounts: []string{"AVAILABLE", "UNSETTLED"},
		FromAccounts:  []string{"AVAILABLE", "UNAVAILABLE"},
		Goods:         true,
		Lookups:       []string{"out_refund_no"},
		OrderLookups:  byNumbers(),
		Rate:          150,
		BadRate:       6,
		Pace:          time.Minute, // document 4012552567, note 9, and the best practice 4014959631
	}
}

func (c *APIv3) do(ctx context.Context, method, uri string, body []byte, outRefundNo string) (refund.Refund, error) {
	reply, err := c.Client.Do(ctx, method, uri, body)
	if err != nil {
		return refund.Refund{}, unanswered(err)
	}
	return c.read(ctx, reply, outRefundNo)
}

// read reads an answer about the refund that has the number.
func (c *APIv3) read(ctx context.Context, reply wxpay.Reply, outRefundNo string) (refund.Refund, error) {
	if reply.Status != http.StatusOK {
		return refund.Refund{}, apiv3Error(reply, apiv3Errors())
	}
	got, left, err := readRefund(reply.Body)
	if err != nil {
		return refund.Refund{}, unknown("WeChat Pay's answer is no refund object", err)
	}
	if got.OutRefundNo != outRefundNo {
		return refund.Refund{}, unknown("WeChat Pay's answer is about another refund", nil)
	}
	if got.Amount.Refund < 1 { // APIv3 always says it
		return refund.Refund{}, unknown("WeChat Pay's answer has no amount", nil)
	}
	leftOut(ctx, c.Log, outRefundNo, left)
	return got, nil
}

// unanswered is what an error of the transport, or of CloudBase's gateway, means:
// nothing is known, unless the request certainly never left.
func unanswered(err error) *refund.Error {
	e := unknown("WeChat Pay did not give an answer that can be verified", err)
	if g, ok := errors.AsType[*cloudbase.Error](err); ok {
		e = unknown(g.Message, g.Err)
		e.Upstream = printable(g.Code, 64)
	}
	e.Unsent = errors.Is(err, wxpay.ErrUnsent)
	if e.Unsent && errors.Is(err, wxpay.ErrFormat) { // no request can be written, and so none was sent
		e.Message = "WXPAY_PRIVATE_KEY is malformed: its numbers do not belong together. Nothing was sent; correct the key and repeat identically"
	}
	return e
}

func unknown(message string, cause error) *refund.Error {
	return &refund.Error{
		Code: refund.CodeUnavailable, Next: refund.SameNumber,
		Message: message + outcomeOpen, Err: cause,
	}
}

// outcomeOpen ends the message of whatever leaves it open what has become of a refund.
const outcomeOpen = "; the outcome is unknown, so query or repeat identically"

// A meaning is what an upstream's error code says in our words.
//
// What no time changes is never: the content has to be corrected (after_fix), or
// the money goes back by other means. What the merchant's settings, permissions,
// keys, clock and balance or the order's own progress can change may be repeated,
// later; one instance whose clock is off must not make a number useless.
type meaning struct {
	code refund.Code
	next refund.Next

	// taken: among other things, the code refuses a number that a refund of other
	// content has.
	taken bool
}

// refusal is the error that a code with this meaning becomes.
func (m meaning) refusal(upstream, message string) *refund.Error {
	return &refund.Error{
		Code: m.code, Next: m.next, MaybeNumberTaken: m.taken, Upstream: upstream, Message: message,
		NotEnough: upstream == "NOT_ENOUGH" || upstream == "NOTENOUGH", // APIv3's word, and v2's
	}
}

// apiv3Errors is the error table of APIv3's refund document, its general
// rules and its status page. A code counts only with a 4xx other than 429.
func apiv3Errors() map[string]meaning {
	return map[string]meaning{
		"USER_ACCOUNT_ABNORMAL": {refund.CodeRejected, refund.Never, false},      // the payer's account is closed for good: refund by other means
		"NOT_ENOUGH":            {refund.CodeRejected, refund.Later, false},      // top up the merchant's balance first; the content is right
		"PARAM_ERROR":           {refund.CodeInvalid, refund.AfterFix, false},    // malformed, and stays so; the message names the field
		"INVALID_REQUEST":       {refund.CodeRejected, refund.LaterOrFix, true},  // a business rule, as the order is now; or other content under the number
		"SIGN_ERROR":            {refund.CodeRejected, refund.LaterOrFix, false}, // our key, serial or clock, perhaps of this one instance
		"NO_AUTH":               {refund.CodeRejected, refund.LaterOrFix, false}, // our permission or IP address
		"MCH_NOT_EXISTS":        {refund.CodeRejected, refund.LaterOrFix, false}, // our merchant number, or a new one that is not known everywhere yet
		"RESOURCE_NOT_EXISTS":   {refund.CodeNotFound, refund.LaterOrFix, false}, // no such refund; no such order, or one that has just been paid
	}
}

// apiv3Refusal is what a code of a table means with an HTTP status; not ok where the outcome
// stays open. "Not found" is told with 404 only, as documented: much hangs on it.
func apiv3Refusal(table map[string]meaning, status int, code string) (m meaning, ok bool) {
	m, ok = table[code]
	refused := status >= 400 && status < 500 && status != http.StatusTooManyRequests
	return m, ok && refused && (m.code != refund.CodeNotFound || status == http.StatusNotFound)
}

// apiv3Error reads an answer that is no refund, by a table of codes.
//
// 202, 429, and every 5xx leave the outcome open: WeChat Pay's newer status
// page says of 429 that a refund may have been accepted. So does a 4xx whose
// code is not in the table, as a path that is unknown has it. A 4xx may come
// unsigned (the documents promise a signature for 2xx only), "not found" among
// them, and is believed on the strength of TLS: there is
// nothing else by which it could be. One that is signed wrongly has not come this far.
func apiv3Error(reply wxpay.Reply, table map[string]meaning) *refund.Error {
	var body struct{ Code, Message string }
	_ = json.Unmarshal(reply.Body, &body) // what cannot be read has no code, and so stays unknown
	e := unknown("WeChat Pay answered without a result", nil)
	e.Upstream = printable(body.Code, 32)
	if m, ok := apiv3Refusal(table, reply.Status, body.Code); ok {
		return m.refusal(e.Upstream, "WeChat Pay refused: "+cmp.Or(printable(body.Message, 200), e.Upstream))
	}
	if reply.Status == http.StatusTooManyRequests {
		e.Next, e.RetryAfter = refund.Later, time.Minute
	}
	return e
}

// printable keeps what an upstream wrote fit for a message: bounded, one line.
func printable(s string, max int) string {
	out := make([]rune, 0, max)
	for _, r := range s {
		if len(out) == max {
			break
		}
		if r < 0x20 || r == 0x7F {
			r = ' '
		}
		out = append(out, r)
	}
	return string(out)
}
