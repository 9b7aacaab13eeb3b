package refund

import "slices"

// matches reports whether what an upstream reports under this request's number is this
// request's refund: the amount agrees, and one of the order's numbers that both have
// agrees, or they have none in common. A refund number alone proves nothing:
// environments share numbers, and people type them on the merchant platform.
func (r Request) matches(reported Refund) bool {
	if reported.Amount.Refund != 0 && reported.Amount.Refund != r.Amount.Refund {
		return false
	}
	known, agree := false, false
	for _, n := range [][2]string{{r.TransactionID, reported.TransactionID}, {r.OutTradeNo, reported.OutTradeNo}} {
		if n[0] != "" && n[1] != "" {
			known, agree = true, agree || n[0] == n[1]
		}
	}
	return agree || !known
}

// maxContents bounds the contents that one number can have been submitted with.
const maxContents = 20

// findContent finds the content that the upstream's report matches: the present one, or any
// other that was ever submitted under the number, which becomes the present one. It
// reports whether there is one, so that the refund is the one that was claimed here.
func (r *record) findContent(reported Refund) bool {
	if r.State != Claimed && r.State != Rejected && r.expected().matches(reported) || r.Request.matches(reported) {
		return true
	}
	for i := len(r.Contents) - 1; i >= 0; i-- {
		if c := r.Contents[i]; c.matches(reported) {
			r.Contents = slices.Delete(r.Contents, i, i+1)
			r.keepContent()
			r.Request = c
			return true
		}
	}
	return false
}

// keepContent remembers the present content among those that were submitted
// before. What identifies a refund is kept, not its articles.
func (r *record) keepContent() {
	c := r.Request
	c.GoodsDetail = nil
	if !slices.ContainsFunc(r.Contents, func(o Request) bool { return difference(o, c) == "" }) {
		r.Contents = append(r.Contents, c)
	}
}

// identified reports whether the upstream has reported of our refund what identifies it.
func (r *record) identified() bool {
	return r.State != Claimed && r.State != Rejected &&
		(r.Refund.Amount.Refund > 0 || r.Refund.TransactionID != "" || r.Refund.OutTradeNo != "")
}

// external reports whether the refund that counts under this number was not made here.
func (r *record) external() bool { return r.External || r.NumberTaken }

// numberTakenError is the error of whoever claims a number that an external refund has.
func numberTakenError(upstream string, other Refund) *Error {
	order := other.OutTradeNo
	if order == "" {
		order = other.TransactionID
	}
	message := "out_refund_no is taken by another refund at WeChat Pay"
	if other.Amount.Refund > 0 {
		message += ", of " + amountText(other.Amount)
	}
	if order != "" {
		message += " of the order " + order
	}
	return &Error{Code: CodeConflict, Next: NewNumber, Upstream: upstream, Message: message + "; use a new refund number"}
}
