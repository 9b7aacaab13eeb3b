package sandbox

import "math/big"

// maxFen bounds an order: ten billion yuan.
const maxFen = 1e12

// A promotion is a coupon that paid for a part of an order.
type promotion struct {
	PromotionID string `json:"promotion_id"`
	Scope       string `json:"scope"`
	Type        string `json:"type"`
	Amount      int64  `json:"amount"`
}

// unfunded are the types of coupon for which the merchant gets no money: what
// such a coupon paid is not settled to it. The documents have two vocabularies.
var unfunded = map[string]bool{"DISCOUNT": true, "NOCASH": true}

// A split says who gets what of a refund, in fen.
type split struct {
	payer   int64   // in money
	coupons []int64 // what each coupon of the order takes back
}

func (s split) discount() int64 {
	var sum int64
	for _, c := range s.coupons {
		sum += c
	}
	return sum
}

// divide splits a refund as WeChat Pay documents it: the payer's part is the
// refund times paid over total, rounded. Rounding alone would let many small
// refunds return more money than was paid, or more of a coupon than it was
// worth; so a part is never more than what is left of it, and the last refund
// takes all the rest.
func (o *order) divide(refund int64) split {
	gone := split{coupons: make([]int64, len(o.promotions))}
	for _, r := range o.refunds {
		if r.status == statusClosed {
			continue
		}
		gone.payer += r.split.payer
		for i, c := range r.split.coupons {
			gone.coupons[i] += c
		}
	}
	var worth int64
	for _, p := range o.promotions {
		worth += p.Amount
	}
	payerLeft, couponsLeft := o.total-worth-gone.payer, worth-gone.discount()

	out := split{coupons: make([]int64, len(o.promotions))}
	out.payer = min(max(ratio(refund, o.total-worth, o.total), refund-couponsLeft), payerLeft)
	rest := refund - out.payer
	for i, p := range o.promotions {
		left := p.Amount - gone.coupons[i]
		if couponsLeft > 0 {
			out.coupons[i] = min(max(ratio(rest, left, couponsLeft), rest-(couponsLeft-left)), left)
		}
		rest -= out.coupons[i]
		couponsLeft -= left
	}
	return out
}

// ratio returns a*b/c rounded half up, for amounts of which c is not zero. The
// product of two amounts may not fit into 64 bits.
func ratio(a, b, c int64) int64 {
	n := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
	return n.Add(n, big.NewInt(c/2)).Div(n, big.NewInt(c)).Int64()
}
