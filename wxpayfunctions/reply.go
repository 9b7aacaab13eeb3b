package wxpayfunctions

import (
	"encoding/json"
	"math"

	"wxrefund/shared/refund"
)

// envelope is what the mini-program sees as res.result.
type envelope struct {
	Code       int    `json:"code"`
	Data       any    `json:"data,omitempty"`
	ErrCode    string `json:"err_code,omitempty"`
	Message    string `json:"message,omitempty"`
	Retry      string `json:"retry,omitempty"`
	RetryAfter int64  `json:"retry_after,omitempty"` // seconds
}

// codes gives each domain code its number and its name in WeChat Pay's spelling,
// which an upstream's own code replaces.
func codes() map[refund.Code]envelope {
	return map[refund.Code]envelope{
		refund.CodeInvalid:     {Code: 400, ErrCode: "PARAM_ERROR"},
		refund.CodeDenied:      {Code: 403, ErrCode: "NOAUTH"},
		refund.CodeNotFound:    {Code: 404, ErrCode: "REFUNDNOTEXIST"},
		refund.CodeConflict:    {Code: 409, ErrCode: "INVALID_REQUEST"},
		refund.CodeRejected:    {Code: 422, ErrCode: "INVALID_REQUEST"},
		refund.CodeLimited:     {Code: 429, ErrCode: "FREQUENCY_LIMITED"},
		refund.CodeInternal:    {Code: 500, ErrCode: "SYSTEMERROR"},
		refund.CodeUnavailable: {Code: 503, ErrCode: "SYSTEMERROR"},
		refund.CodeProposed:    {Code: 202}, // no refusal: it waits
	}
}

// retries says what a caller may do next. What must be corrected first is not
// worth repeating as it is.
func retries() map[refund.Next]string {
	return map[refund.Next]string{
		refund.Never:      "never",
		refund.AfterFix:   "never",
		refund.SameNumber: "same_number",
		refund.Later:      "later",
		refund.LaterOrFix: "later",
		refund.NewNumber:  "new_number",
	}
}

func encode(data any, err error) []byte {
	env := envelope{Data: data}
	switch got := data.(type) {
	case refund.Refund:
		if got.Status == refund.StatusClosed {
			env.Retry = retries()[refund.NewNumber] // the number is used up, and no money was moved
		}
	case refund.Application:
		env.Data = shown(got)
	case refund.Listing:
		env.Data = shownList(got)
	}
	if err != nil {
		e := refund.AsError(err)
		env = codes()[e.Code]
		if e.Upstream != "" {
			env.ErrCode = e.Upstream
		}
		env.Message, env.Retry = e.Message, retries()[e.Next]
		if e.Code == refund.CodeProposed {
			env.Retry = ""
			if e.Proposed != nil {
				env.Data = shown(*e.Proposed)
			}
		}
		if e.RetryAfter > 0 {
			env.RetryAfter = int64(math.Ceil(e.RetryAfter.Seconds()))
		}
	}
	b, err := json.Marshal(env)
	if err != nil { // every reply type encodes; this is a defect, and the caller still needs JSON
		return []byte(`{"code":500,"err_code":"SYSTEMERROR","message":"internal error","retry":"same_number"}`)
	}
	return b
}

// shown is an application as mini-programs see it: whoever runs the service reads in the
// ledger who did what, and openids are in no reply.
func shown(a refund.Application) refund.Application {
	a.Applicant, a.History = "", nil
	return a
}

func shownList(l refund.Listing) refund.Listing {
	items := make([]any, len(l.Items))
	for i, item := range l.Items {
		if a, ok := item.(refund.Application); ok {
			item = shown(a)
		}
		items[i] = item
	}
	l.Items = items
	return l
}
