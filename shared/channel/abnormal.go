package channel

import (
	"context"

	"wxrefund/shared/refund"
)

// notAbnormal is what a channel answers that has no call for abnormal refunds.
func notAbnormal(name string) error {
	return refund.Invalid("the channel " + name + " has no call that finishes an abnormal refund: the merchant platform does it")
}

// FinishAbnormal is not carried.
func (c *APIv3) FinishAbnormal(context.Context, refund.AbnormalRequest) (refund.Refund, error) {
	return refund.Refund{}, notAbnormal(c.Spec().Name)
}

// FinishAbnormal is not carried.
func (c *CloudBase) FinishAbnormal(context.Context, refund.AbnormalRequest) (refund.Refund, error) {
	return refund.Refund{}, notAbnormal(c.Spec().Name)
}

// FinishAbnormal is not carried.
func (c *CloudPay) FinishAbnormal(context.Context, refund.AbnormalRequest) (refund.Refund, error) {
	return refund.Refund{}, notAbnormal(c.Spec().Name)
}

// FinishAbnormal is not carried.
func (c *Global) FinishAbnormal(context.Context, refund.AbnormalRequest) (refund.Refund, error) {
	return refund.Refund{}, notAbnormal(c.Spec().Name)
}

// FinishAbnormal is not carried.
func (c *WeCom) FinishAbnormal(context.Context, refund.AbnormalRequest) (refund.Refund, error) {
	return refund.Refund{}, notAbnormal(c.Spec().Name)
}
