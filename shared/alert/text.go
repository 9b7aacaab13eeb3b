package alert

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"wxrefund/shared/refund"
)

// maxText bounds a message in bytes: a WeCom robot takes 4096 of Markdown, the others
// more. maxLines bounds the alarms that one names.
const maxText, maxLines = 4000, 10

// quoted sets a number or a command off where messages are Markdown, so that nothing in
// it is taken for that; plain leaves it.
func quoted(s string) string { return "`" + s + "`" }
func plain(s string) string  { return s }

// text is the message in both languages. set sets off what is to be copied.
func text(a refund.Alert, set func(string) string) string {
	if len(a.Alarms) == 0 {
		return ""
	}
	first := a.Alarms[0]
	chinese, english := title(first.Code)
	lines := []string{"退款告警 wxrefund " + a.Merchant.MchID, chinese, english}
	for _, w := range a.Waiting {
		lines = append(lines, fmt.Sprintf("等待余额 waiting for funds: %d 笔 refunds, %s", w.Refunds, money(w.Amount, w.Currency)))
	}
	if len(a.Alarms) == 1 {
		lines = append(lines, about(first, set), clean(first.Why), "自 since "+when(first.Since)+times(first.Count))
		if first.OutRefundNo != "" {
			lines = append(lines, set("operate show "+clean(first.OutRefundNo)))
		} else if day, ok := strings.CutPrefix(first.About, "bill/"); ok {
			lines = append(lines, set("operate bill -date "+clean(day)))
		}
	} else {
		lines = append(lines, fmt.Sprintf("%d 条告警 alarms", len(a.Alarms)+a.More))
		for _, o := range a.Alarms[:min(len(a.Alarms), maxLines)] {
			lines = append(lines, about(o, set)+" · "+when(o.Since))
		}
		lines = append(lines, "全部 all: "+set("operate alarms"))
	}
	lines = append(lines, set("operate explain "+clean(first.Code)))
	return strings.ToValidUTF8(cut(strings.Join(lines, "\n"), maxText), "")
}

func cut(s string, most int) string { return s[:min(len(s), most)] }

// about names what an alarm is about.
func about(o refund.OpenAlarm, set func(string) string) string {
	line := set(clean(o.About))
	if o.Amount != 0 {
		line += " · " + money(o.Amount, o.Currency)
	}
	if o.State != "" {
		line += " · " + string(o.State)
	}
	return line
}

// money shows an amount. Only of yuan it is certain here that a hundred fen make one.
func money(minor int64, currency string) string {
	if currency != "" && currency != "CNY" {
		return fmt.Sprintf("%d %s (最小货币单位 minor units)", minor, clean(currency))
	}
	return fmt.Sprintf("%d.%02d CNY", minor/100, minor%100)
}

func when(t time.Time) string {
	return t.In(time.FixedZone("", 8*60*60)).Format("2006-01-02 15:04 -07:00")
}

func times(n int) string {
	if n <= 1 {
		return ""
	}
	return fmt.Sprintf(" · %d 次 times", n)
}

// clean keeps what came from outside from being more than text: a mention of somebody, a
// second line, the end of a quotation.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '<':
			return '‹'
		case r == '>':
			return '›'
		case r == '`':
			return '\''
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			return ' '
		}
		return r
	}, s)
}

// title says what an alarm is, in both languages.
func title(code string) (chinese, english string) {
	switch code {
	case "claim_in_doubt":
		return "退款结果未知已超过一天", "A refund's outcome has been unknown for a day"
	case "refund_by_hand":
		return "结果未知期间，订单上出现了另一笔手工退款", "A refund made by hand has appeared beside one whose outcome is unknown"
	case "refund_untold":
		return "上游承认有这笔退款，但不说明结果", "The upstream counts the refund and tells nothing of it"
	case "accepted_not_found":
		return "上游查不到它已受理的退款", "The upstream does not know a refund that it had accepted"
	case "panic":
		return "处理这笔退款时程序出错", "Looking after this refund failed by a defect"
	case "number_taken":
		return "退款单号已被另一笔退款占用", "Another refund has the number"
	case "contradiction":
		return "通知或应答与账本不符", "A notification or an answer contradicts the ledger"
	case "reversed":
		return "上游收回了先前的结果", "The upstream has taken back what it had said"
	case "differs":
		return "上游所报的订单、总额或币种与账本不同", "The upstream reports another order, total or currency"
	case "order_exceeded":
		return "订单的退款合计超过总额", "The order's refunds exceed its total"
	case "two_orders":
		return "一个单号对应两笔订单或退款", "One number leads to two orders or refunds"
	case "subscriber_given_up":
		return "订阅方三天未确认，已放弃送达", "A subscriber has not acknowledged for three days and is given up"
	case "outbox_full":
		return "待送达事件过多，最早的一条已丢弃", "So many events wait that the oldest was dropped"
	case "item_unreadable":
		return "账本中有一条记录无法读取", "An item of the ledger cannot be read"
	case "notification_unreadable":
		return "验签通过的通知无法解读，请核对 APIv3 密钥", "A verified notification cannot be read: compare the APIv3 key"
	case "clock":
		return "某个实例的时钟不准", "Some instance's clock is wrong"
	case "not_enough":
		return "商户余额不足，退款未受理，请充值", "The merchant's balance is too low for a refund: top it up"
	case "processing_long":
		return "退款处理中已到第五天，余额不足时满七天会被关闭", "A refund is processing on its fifth day; short of money it is closed after seven"
	case "refund_closed":
		return "退款已关闭，用户没有收到钱，请用新单号重新退款", "A refund was closed, and the payer has not got the money: refund again under a new number"
	case "refund_abnormal":
		return "退款异常，银行拒收：apiv3 用 operate abnormal 处理，其他渠道到商户平台处理", "The bank has refused a refund: on apiv3 operate abnormal finishes it, elsewhere the merchant platform"
	case "order_expiring":
		return "订单即将满一年，仍有退款未完成", "An order is about to be a year old, and a refund of it is not done"
	case "bill_differs":
		return "某一天的账与微信支付账单不符", "The books of a day and WeChat Pay's bill do not agree"
	case "bill_unread":
		return "某一天的微信支付账单未能读取", "WeChat Pay's bill of a day could not be read"
	case "alerter_unreachable":
		return "有告警机器人一天收不到消息", "A robot or webhook for alarms has not been reached for a day"
	}
	return "告警 " + clean(code), "Alarm " + clean(code)
}
