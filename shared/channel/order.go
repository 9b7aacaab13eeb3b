package channel

import (
	"context"

	"wxrefund/shared/refund"
)

// notAbnormal is what a channel answers that has no call for abnormal refunds.
func notAbnormal(name string) error {
	return refund.Invalid("the channel " + name + " has no call that finishes an abnormal refund: the merchant platform does it")
}

// Order asks about an order.
func (c *APIv3) Order(ctx context.Context, l refund.Lookup) (refund.PaidOrder, error) {
	return refund.PaidOrder{}, refund.Invalid("orders cannot be asked about yet")
}

// FinishAbnormal is not carried.
func (c *APIv3) FinishAbnormal(ctx context.Context, a refund.AbnormalRequest) (refund.Refund, error) {
	return refund.Refund{}, notAbnormal(c.Spec().Name)
}

// Order asks about an order.
func (c *CloudBase) Order(ctx context.Context, l refund.Lookup) (refund.PaidOrder, error) {
	return refund.PaidOrder{}, refund.Invalid("orders cannot be asked about yet")
}

// FinishAbnormal is not carried.
func (c *CloudBase) FinishAbnormal(ctx context.Context, a refund.AbnormalRequest) (refund.Refund, error) {
	return refund.Refund{}, notAbnormal(c.Spec().Name)
}

// Order asks about an order.
func (c *CloudPay) Order(ctx context.Context, l refund.Lookup) (refund.PaidOrder, error) {
	return refund.PaidOrder{}, refund.Invalid("orders cannot be asked about yet")
}

// FinishAbnormal is not carried.
func (c *CloudPay) FinishAbnormal(ctx context.Context, a refund.AbnormalRequest) (refund.Refund, error) {
	return refund.Refund{}, notAbnormal(c.Spec().Name)
}

// Order asks about an order.
func (c *Global) Order(ctx context.Context, l refund.Lookup) (refund.PaidOrder, error) {
	return refund.PaidOrder{}, refund.Invalid("orders cannot be asked about yet")
}

// FinishAbnormal is not carried.
func (c *Global) FinishAbnormal(ctx context.Context, a refund.AbnormalRequest) (refund.Refund, error) {
	return refund.Refund{}, notAbnormal(c.Spec().Name)
}

// Order asks about an order.
func (c *WeCom) Order(ctx context.Context, l refund.Lookup) (refund.PaidOrder, error) {
	return refund.PaidOrder{}, refund.Invalid("orders cannot be asked about yet")
}

// FinishAbnormal is not carried.
func (c *WeCom) FinishAbnormal(ctx context.Context, a refund.AbnormalRequest) (refund.Refund, error) {
	return refund.Refund{}, notAbnormal(c.Spec().Name)
}
