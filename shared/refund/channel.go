package refund

import "context"

// A Channel carries a refund to one upstream system. Its errors are [*Error]:
// [CodeUnavailable] whenever the outcome is unknown, any other code only if the
// upstream refused for certain.
type Channel interface {
	// Refund submits the request once. Submitting the same request under the same
	// refund number again refunds once.
	Refund(ctx context.Context, req Request) (Refund, error)

	// Query asks about one refund, which is then the page's only one, or about an
	// order's refunds from l.Offset on; by what numbers it can be asked is in Spec.
	// [CodeNotFound] means that the upstream does not know the number now; a request
	// on its way may still make it known.
	Query(ctx context.Context, l Lookup) (Page, error)

	// Bill fetches one bill, reads it once to its end, and keeps it until it is closed: in
	// a temporary file, since a bill may be larger than the memory of a function.
	// [ErrNoBill] if there never is such a bill. An upstream that has not issued it yet is
	// [CodeUnavailable] with [Later]; one that refuses it is what it says. A bill that
	// cannot be used wraps [ErrBillUnreadable]. Nothing of it is handed out then.
	Bill(ctx context.Context, q BillQuery) (*Bill, error)

	// Order asks about an order, by one of the numbers in Spec().OrderLookups; the first
	// of the lookup's that is set counts. [CodeNotFound]: the upstream knows no such order.
	Order(ctx context.Context, l Lookup) (PaidOrder, error)

	// FinishAbnormal has the money of an abnormal refund sent elsewhere, once; where
	// Spec().Abnormal is false it is [CodeInvalid]. The answer is the refund as it is then.
	FinishAbnormal(ctx context.Context, a AbnormalRequest) (Refund, error)

	// Spec says what the channel can carry.
	Spec() Spec
}
