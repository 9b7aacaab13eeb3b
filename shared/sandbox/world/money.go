package world

import (
	"cmp"
	"math/big"
	"strconv"
)

// MaxFen bounds an order: ten billion yuan.
const MaxFen = 1e12

// A Promotion is a coupon that paid for a part of an order.
type Promotion struct {
	PromotionID string `json:"promotion_id"`
	Scope       string `json:"scope"`
	Type        string `json:"type"`
	Amount      int64  `json:"amount"`
}

// Unfunded tells that the merchant gets no money for a coupon: what it paid is not
// settled to the merchant. The documents have two vocabularies.
func (p Promotion) Unfunded() bool { return p.Type == "DISCOUNT" || p.Type == "NOCASH" }

// A split says who gets what of a refund, in fen.
type split struct {
	payer   int64   // in money
	cash    int64   // the same in fen, whatever the currency of the order
	coupons []int64 // what each coupon of the order takes back
}

func (s split) discount() int64 {
	var sum int64
	for _, c := range s.coupons {
		sum += c
	}
	return sum
}

// worth is what the order's coupons paid of it.
func (o *order) worth() (sum int64) {
	for _, p := range o.promotions {
		sum += p.Amount
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
		if r.status == StatusClosed {
			continue
		}
		gone.payer += r.split.payer
		gone.cash += r.split.cash
		for i, c := range r.split.coupons {
			gone.coupons[i] += c
		}
	}
	worth := o.worth()
	payerLeft, couponsLeft := o.total-worth-gone.payer, worth-gone.discount()

	out := split{coupons: make([]int64, len(o.promotions))}
	out.payer = min(max(ratio(refund, o.total-worth, o.total), refund-couponsLeft), payerLeft)
	out.cash = o.cash(gone.payer+out.payer) - gone.cash // so that all of them sum up to what was paid
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

// rates say what foreign money costs: the fen for ten thousand of the smallest
// unit. They stand still, since nothing that is tested here depends on them.
var rates = map[string]int64{
	"CNY": 10000, "USD": 71200, "EUR": 77900, "GBP": 90500, "HKD": 9100, "SGD": 53000, "AUD": 46700, "CAD": 51900, "NZD": 42800,
	"JPY": 48000, "KRW": 5200,
}

// otherRate is that of all other currencies.
const otherRate = 20000

// cash returns what the payer paid for a part of the order: the payer's money is
// always yuan, since it comes from a WeChat wallet.
func (o *order) cash(part int64) int64 {
	return ratio(part, cmp.Or(rates[o.currency], otherRate), 10000)
}

// ratio returns a*b/c rounded half up, for amounts of which c is not zero. The
// product of two amounts may not fit into 64 bits.
func ratio(a, b, c int64) int64 {
	n := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
	return n.Add(n, big.NewInt(c/2)).Div(n, big.NewInt(c)).Int64()
}

// Rate is what one unit of foreign money costs in yuan, as bills have it: times a hundred
// million. Empty: there is no rate of no currency.
func Rate(currency string) string {
	if currency == "" {
		return ""
	}
	return strconv.FormatInt(cmp.Or(rates[currency], otherRate)*10000, 10)
}
