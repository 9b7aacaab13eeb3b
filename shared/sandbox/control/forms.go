package control

import (
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
)

// The bodies. They have no labels, since these doors speak English.
var (
	orderForm = schema.Schema{
		{Path: "/out_trade_no", Min: 1, Max: 32, Form: schema.FormNumber},
		{Path: "/transaction_id", Min: 1, Max: 32, Form: schema.FormNumber},
		{Path: "/sub_mchid", Enum: []string{world.SubMchID}},
		{Path: "/total", Kind: schema.Number, Required: true, Min: 1, Max: world.MaxFen},
		{Path: "/currency", Form: schema.FormCurrency},
		{Path: "/openid", Min: 1, Max: 128, Form: schema.FormNumber},
		{Path: "/success_time", Min: 1, Max: 64},
		{Path: "/trade_state", Enum: world.TradeStates},
		{Path: "/promotion_detail", Kind: schema.List, Max: 20},
		{Path: "/promotion_detail/*/promotion_id", Required: true, Min: 1, Max: 32},
		{Path: "/promotion_detail/*/scope", Required: true, Enum: []string{"GLOBAL", "SINGLE"}},
		{Path: "/promotion_detail/*/type", Required: true, Enum: []string{"COUPON", "DISCOUNT", "CASH", "NOCASH"}},
		{Path: "/promotion_detail/*/amount", Kind: schema.Number, Required: true, Min: 1, Max: world.MaxFen},
	}

	handForm = schema.Schema{
		{Path: "/out_trade_no", Min: 1, Max: 32, Form: schema.FormNumber},
		{Path: "/transaction_id", Min: 1, Max: 32, Form: schema.FormNumber},
		{Path: "/out_refund_no", Required: true, Min: 1, Max: 64, Form: schema.FormNumber},
		{Path: "/reason", Min: 1, Max: 80},
		{Path: "/notification", Enum: []string{world.NotificationV3, world.NotificationV2}},
		{Path: "/amount", Kind: schema.Number, Required: true, Min: 1, Max: world.MaxFen},
	}

	// amounts like those of APIv3 are understood as well.
	handFormLong = append(handForm[:len(handForm)-1:len(handForm)-1],
		schema.Rule{Path: "/amount", Kind: schema.Object, Required: true},
		schema.Rule{Path: "/amount/refund", Kind: schema.Number, Required: true, Min: 1, Max: world.MaxFen},
		schema.Rule{Path: "/amount/total", Kind: schema.Number, Min: 1, Max: world.MaxFen},
		schema.Rule{Path: "/amount/currency", Form: schema.FormCurrency},
	)

	settleForm = schema.Schema{{Path: "/status", Required: true, Enum: []string{world.StatusSuccess, world.StatusClosed, world.StatusAbnormal}}}

	hostileForm = schema.Schema{{Path: "/on", Kind: schema.Boolean, Required: true}}

	rotateForm = schema.Schema{{Path: "/in", Min: 1, Max: 32}}

	shareForm = schema.Schema{{Path: "/percent", Kind: schema.Fraction, Required: true, Max: 100}}

	advanceForm = schema.Schema{
		{Path: "/advance", Min: 1, Max: 32},
		{Path: "/to", Min: 5, Max: 5}, // the next time that the clock shows it
	}
)

// faultForm is the body of POST /_sandbox/faults.
func faultForm(w *world.World) schema.Schema {
	upstream, notify, codes := w.KnownFaults()
	return schema.Schema{
		{Path: "/upstream", Enum: faultNames(upstream)},
		{Path: "/err_code", Enum: codes},
		{Path: "/on", Enum: []string{world.OnApply, world.OnQuery, world.OnBill, world.OnOrder, world.OnAbnormal}},
		{Path: "/notify", Enum: faultNames(notify)},
		{Path: "/timer", Enum: faultNames(world.TimerFaults)},
		{Path: "/bill", Enum: faultNames(world.BillFaults)},
		{Path: "/database", Enum: faultNames(world.DatabaseFaults)},
		{Path: "/rate", Kind: schema.Fraction},
		{Path: "/count", Kind: schema.Number, Min: 1, Max: 1e6},
	}
}

func faultNames(faults []world.FaultName) []string {
	out := make([]string, len(faults))
	for i, f := range faults {
		out[i] = f.Name
	}
	return out
}
