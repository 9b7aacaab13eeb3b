package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"wxrefund/shared/config"
	"wxrefund/shared/host"
	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox"
)

// A said is what of a function's reply tells whether it says no.
type said struct {
	Code    any    `json:"code"` // a number of the dispatcher's, a word of notify's
	ErrCode string `json:"err_code"`
	Error   string `json:"error"` // of reconcile
}

// no returns the code of a reply that says no; empty: it says yes.
func (s said) no() string {
	switch {
	case s.Error != "":
		return "500"
	case s.Code == nil, s.Code == 0.0, s.Code == 202.0, s.Code == "SUCCESS":
		return ""
	}
	return cmp.Or(s.ErrCode, fmt.Sprint(s.Code))
}

// buyers reports whether the dispatcher has let somebody ask: a buyer may ask for some things.
func (s said) buyers() bool {
	_, dispatched := s.Code.(float64)
	return dispatched && s.ErrCode != "NOAUTH"
}

// An admission says why a caller may not call one of our functions, for the journal: the
// function decides.
type admission func(refund.Caller) error

// admissions are those of our functions, by name, but for those that run elsewhere.
func admissions(sys *config.System, elsewhere forwards) map[string]admission {
	all := map[string]admission{
		"wxpayFunctions": sys.Refunds.Policy.Admit,
		"wxpayRefund":    sys.Refunds.Policy.Admit,
		"notify":         relays,
		"reconcile":      anybody,
	}
	for name := range elsewhere {
		delete(all, name)
	}
	return all
}

// judgeCall completes the journal's exchange of a call of a function: who has called, whether
// he may, and whether the function says no.
func judgeCall(admit map[string]admission) func(*http.Request, *sandbox.Exchange) {
	card := regexp.MustCompile(`("(?:bank_account|real_name)"\s*:\s*)"(?:[^"\\]|\\.)*"?`) // what was cut has no end
	return func(r *http.Request, x *sandbox.Exchange) {
		x.Request.Body = card.ReplaceAllString(x.Request.Body, `$1"****"`) // the payer's card is kept nowhere
		x.OpenID, x.Source = r.Header.Get("X-WX-OPENID"), r.Header.Get("X-WX-SOURCE")
		if x.Status != http.StatusOK { // no function was called
			x.Refused, x.Code = true, fmt.Sprint(x.Status)
			return
		}
		var wrapper struct {
			ErrCode int // the function has not run to its end
			Result  said
		}
		_ = json.Unmarshal([]byte(x.Response.Body), &wrapper) // what was cut is no refusal
		if may, ours := admit[r.PathValue("name")]; ours {
			caller := host.Identity{}.Platform(x.OpenID, x.Source)
			detail, err := caller.LogValue().String(), may(caller)
			if wrapper.Result.buyers() && caller.Kind == refund.User {
				err = nil
			}
			if err != nil {
				detail += ": " + err.Error()
			}
			x.Checks = append(x.Checks, sandbox.Check{What: "identity", OK: err == nil, Detail: detail})
		}
		if x.Code = wrapper.Result.no(); wrapper.ErrCode != 0 {
			x.Code = fmt.Sprint(wrapper.ErrCode)
		}
		x.Refused = x.Code != ""
	}
}

// judgeNotification completes that of a notification which WeChat's side has not sent.
func judgeNotification(_ *http.Request, x *sandbox.Exchange) {
	if x.Refused = x.Status != http.StatusOK; x.Refused {
		x.Code = fmt.Sprint(x.Status)
	}
}

// anybody and relays say who may call reconcile and notify.
func anybody(refund.Caller) error { return nil }

func relays(c refund.Caller) error {
	if c.Kind != refund.Server && c.Kind != refund.Unlisted {
		return errors.New("this caller may not notify")
	}
	return nil
}

// worth tells whether a run of the timer has done anything, or failed to. What it has asked
// about bills is in the journal as calls.
func worth(x *sandbox.Exchange) bool {
	var reply struct {
		said
		refund.Summary
	}
	_ = json.Unmarshal([]byte(x.Response.Body), &reply)
	x.Code = reply.no()
	x.Refused = x.Code != ""
	reply.Remaining, reply.Bills = 0, 0
	return x.Refused || reply.Summary != (refund.Summary{})
}
