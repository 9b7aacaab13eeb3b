package world

import (
	"math/rand/v2"
	"testing"
)

// TestPartialRefundsNeverReturnMoreThanWasPaid refunds random orders in random parts, some of which are closed
// again, until nothing is left: whatever the order, nobody gets more than there
// was, and in the end everybody has got all.
func TestPartialRefundsNeverReturnMoreThanWasPaid(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		o := &order{total: 1 + r.Int64N([]int64{10, 1000, MaxFen}[seed%3])}
		worth := int64(0)
		for range r.IntN(4) {
			if amount := r.Int64N(o.total - worth + 1); amount > 0 {
				o.promotions = append(o.promotions, Promotion{Amount: amount})
				worth += amount
			}
		}
		check := func() (payer int64, coupons []int64) {
			coupons = make([]int64, len(o.promotions))
			for _, f := range o.refunds {
				if f.status == StatusClosed {
					continue
				}
				sum := f.split.payer + f.split.discount()
				if sum != f.application.Amount.Refund || f.split.payer < 0 {
					t.Fatalf("seed %d: %d is divided into %+v", seed, f.application.Amount.Refund, f.split)
				}
				payer += f.split.payer
				for i, c := range f.split.coupons {
					if c < 0 {
						t.Fatalf("seed %d: coupon %d takes %d", seed, i, c)
					}
					coupons[i] += c
				}
			}
			if payer > o.total-worth {
				t.Fatalf("seed %d: the payer gets %d of %d", seed, payer, o.total-worth)
			}
			for i, p := range o.promotions {
				if coupons[i] > p.Amount {
					t.Fatalf("seed %d: coupon %d takes %d of %d", seed, i, coupons[i], p.Amount)
				}
			}
			return payer, coupons
		}
		for o.left() > 0 {
			amount := 1 + r.Int64N(o.left())
			if len(o.refunds) > 40 {
				amount = o.left()
			}
			f := &refund{status: StatusSuccess, order: o, split: o.divide(amount)}
			f.application.Amount.Refund = amount
			o.refunds = append(o.refunds, f)
			check()
			if r.IntN(5) == 0 && len(o.refunds) < 40 {
				f.status = StatusClosed
			}
		}
		payer, coupons := check()
		if payer != o.total-worth {
			t.Fatalf("seed %d: all is refunded, but the payer got %d of %d", seed, payer, o.total-worth)
		}
		for i, p := range o.promotions {
			if coupons[i] != p.Amount {
				t.Fatalf("seed %d: all is refunded, but coupon %d got %d of %d", seed, i, coupons[i], p.Amount)
			}
		}
	}
}

func TestRatiosRoundHalfUp(t *testing.T) {
	for _, tt := range []struct{ a, b, c, want int64 }{
		{0, 1, 1, 0}, {1, 1, 2, 1}, {1, 1, 3, 0}, {2, 1, 3, 1}, {3333, 8999, 10000, 2999},
		{MaxFen, MaxFen, MaxFen, MaxFen}, {MaxFen - 1, MaxFen - 1, MaxFen, MaxFen - 2},
	} {
		if got := ratio(tt.a, tt.b, tt.c); got != tt.want {
			t.Errorf("ratio(%d, %d, %d) = %d, want %d", tt.a, tt.b, tt.c, got, tt.want)
		}
	}
}
