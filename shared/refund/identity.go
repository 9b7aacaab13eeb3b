package refund

import "slices"

// matches reports whether what an upstream reports under this request's number is matches
// this request: the amount agrees, and one of the order's names that both know
// agrees, or none is known to both. A number alone proves nothing: environments
// share numbers, and people use them by hand.
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

// findContent reports whether what the upstream reports is about the refund that was claimed
// here, with its present content or with any that was ever submitted under the
// number. The content that it is about becomes the present one.
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

// numberTakenError is the error of whoever claims a number that somebody else's refund has.
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
