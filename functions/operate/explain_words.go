package main

import (
	"fmt"
	"io"
	"strings"

	"wxrefund/shared/explain"
	"wxrefund/shared/refund"
)

// What explain says itself, beside the table of codes.

// The phrases of one language: formats, whose words stand in the order of their use.
type phrases struct {
	noText   string // the text, and what it may have been
	noCode   string // likewise, where there is no ledger to look in
	neither  string // likewise, with a ledger
	proposed string // the number, its application
	applied  string // the application
	perhaps  string // what it may have been
	comma    string

	ago     string // a moment, an age
	claimed string // the number, its amount, its order's, when
	refused string // the upstream's word
	waits   string // the number, until when
	now     string // the number
	later   string // the number, from when on
}

func phrasesIn(l explain.Language) phrases {
	if l == explain.Chinese {
		return phrases{
			noText:   "%q 不是已知的代码，也不是已知的报错文字%s",
			noCode:   "%s 不是已知的代码；如果是退款单号，查询需要设置 LEDGER_URL%s",
			neither:  "%s 不是已知的代码，本账本里也没有这个单号的退款%s",
			proposed: "本账本里没有退款 %s：它曾被提出，等待复核；结果见 operate application %s",
			applied:  "%[1]s 是退款申请，不是退款单号：operate application %[1]s",
			perhaps:  "；是不是 %s？",
			comma:    "、",
			ago:      "%s（%s 前）",
			claimed:  "%s：退 %s，订单共 %s，受理于 %s",
			refused:  "被拒绝：%s",
			waits:    "%[1]s 被明确拒绝；正在等待余额，最迟在 %[2]s 之前自动继续；operate cancel %[1]s 可以结束等待",
			now:      "现在可以用 operate release %s 结束它",
			later:    "%[2]s 起可以用 operate release %[1]s 结束它",
		}
	}
	return phrases{
		noText:   "%q is no code and no text that is known here%s",
		noCode:   "%s is no code that is known here; to look up a refund, LEDGER_URL is needed%s",
		neither:  "%s is neither a code that is known here nor a refund in this ledger%s",
		proposed: "no refund %s is on record here: it was proposed, and operate application %s shows what became of that",
		applied:  "%[1]s is an application and no refund's number: operate application %[1]s shows it",
		perhaps:  "; was it %s?",
		comma:    ", ",
		ago:      "%s (%s ago)",
		claimed:  "%s: %s of %s, claimed %s",
		refused:  "refused with %s",
		waits:    "refused for certain; waits for the balance and goes on by itself until %[2]s at most; operate cancel %[1]s ends it",
		now:      "operate release %s may end it now",
		later:    "operate release %s may end it from %s on",
	}
}

// maybe is what a word that is not known may have been; "" if nothing is like it.
func (w phrases) maybe(near []string) string {
	if len(near) == 0 {
		return ""
	}
	return fmt.Sprintf(w.perhaps, strings.Join(near, w.comma))
}

// aboutTable prints what a refund's explanation depends on.
func (p *program) aboutTable(out io.Writer, in *refund.Inspection, w phrases) {
	if in == nil {
		return
	}
	line := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	a, now := in.Refund.Amount, p.clock()
	when := fmt.Sprintf(w.ago, p.at(in.ClaimedAt), age(now.Sub(in.ClaimedAt)))
	line(w.claimed, in.OutRefundNo, money(a.Refund, a.Currency), money(a.Total, a.Currency), when)
	if in.Refusal != nil {
		line(w.refused, refusalOf(in.Refusal).text())
	}
	if in.WaitingFunds {
		line(w.waits, in.OutRefundNo, p.at(in.WaitingUntil))
	}
	switch at := in.ReleasableAt; {
	case at.IsZero():
	case at.After(now):
		line(w.later, in.OutRefundNo, p.at(at))
	default:
		line(w.now, in.OutRefundNo)
	}
	line("")
}
