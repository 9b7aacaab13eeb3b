package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/config"
	"wxrefund/shared/explain"
	"wxrefund/shared/refund"
)

func explainCommand() command {
	return command{
		name: "explain", operands: "CODE|NO",
		synopsis: "Say what a code means, or why a refund is as it is, and what to do",
		more: "CODE is WeChat Pay's, WeCom's or CloudBase's, an err_code or a code of a reply, an alarm, a state or a question\n" +
			"such as no-notification; or WeChat Pay's text, in quotes. A code that both this service and WeChat Pay answer\n" +
			"is explained as either. For a refund's number all that explains it is looked up. The tables are in\n" +
			"functions/operate/ERRORS.md, 中文 ERRORS.zh.md.\n",
		example: "explain NOT_ENOUGH",
		setup: func(f *flag.FlagSet) action {
			lang := f.String("lang", "", "`language`: en or zh; by default that of LANG")
			table := f.Bool("markdown", false, "print all entries as the documents have them")
			channel := f.String("channel", "", "the `channel` that said it; by default WXPAY_CHANNEL")
			return func(ctx context.Context, p *program, operands []string) error {
				l, err := p.language(*lang)
				switch {
				case err != nil:
					return err
				case *table && len(operands) == 0:
					text, err := explain.Markdown(l)
					fmt.Fprintf(p.stdout, "%s", text)
					return err
				case *channel != "" && !slices.Contains(config.Channels(), *channel):
					return usage("-channel must be one of %s", strings.Join(config.Channels(), ", "))
				case len(operands) == 0 || strings.TrimSpace(operands[0]) == "" || *table:
					return usage("explain wants one CODE or NO")
				}
				return p.explain(ctx, operands[0], cmp.Or(*channel, p.getenv("WXPAY_CHANNEL")), l)
			}
		},
	}
}

// language is the one that was asked for, or else the terminal's.
func (p *program) language(asked string) (explain.Language, error) {
	switch asked {
	case "en", "zh":
		return explain.Language(asked), nil
	case "":
		if strings.HasPrefix(cmp.Or(p.getenv("LC_ALL"), p.getenv("LC_MESSAGES"), p.getenv("LANG")), "zh") {
			return explain.Chinese, nil
		}
		return explain.English, nil
	}
	return "", usage("-lang must be en or zh")
}

// An explanation is what explain prints of one code.
type explanation struct {
	Code   string   `json:"code"`
	Of     []string `json:"of"`
	Heals  string   `json:"heals"`
	Cause  string   `json:"cause"`
	Remedy string   `json:"remedy"`
	Source string   `json:"source"`

	how, whose string // for people: how it heals, and who says it
	ours       bool   // said by this service itself
}

func (p *program) explain(ctx context.Context, word, channel string, l explain.Language) error {
	found, err := explained(l, channel, word)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		p.printExplanations(nil, found, l)
		return nil
	}
	near, err := explain.Near(word)
	if err != nil {
		return err
	}
	w := phrasesIn(l)
	_, noNumber := number([]string{word})
	switch {
	case noNumber != nil:
		return finding(w.noText, word, w.maybe(near))
	case p.getenv("LEDGER_URL") == "": // so that a code can be looked up anywhere
		return finding(w.noCode, word, w.maybe(near))
	}
	refunds, err := p.refunds(ctx)
	if err != nil {
		return err
	}
	all, err := refunds.Inspect(ctx, word)
	if err != nil {
		return err
	}
	if all[0].State == "" {
		return unrecorded(ctx, refunds, all[0], w, w.neither, word, w.maybe(near))
	}
	found, err = explained(l, refunds.Channel.Spec().Name, codesOf(all[0])...)
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(e explanation) bool { return e.ours }) // a record keeps the upstream's codes
	p.printExplanations(&all[0], found, l)
	return nil
}

// codesOf lists what explains a refund as it is now: the alarms that go on, WeChat Pay's
// last refusal, and its state. One that waits for the balance is claimed, and yet nothing
// of it is unknown: its refusal says it all.
func codesOf(in refund.Inspection) []string {
	var codes []string
	for _, c := range in.Causes {
		codes = append(codes, c.Code)
	}
	last := ""
	for _, h := range in.History {
		if h.What == "refused" || h.What == "unanswered" {
			last = h.Note
		}
	}
	unsettled := in.State == refund.Claimed || in.State == refund.Rejected
	switch {
	case in.Refusal != nil && in.Refusal.Upstream != "":
		codes = append(codes, in.Refusal.Upstream)
	case unsettled && last != "":
		codes = append(codes, last)
	}
	switch {
	case in.Withdrawn:
		codes = append(codes, "withdrawn_in_doubt")
	case in.InDoubt:
		codes = append(codes, "in_doubt")
	case !in.WaitingFunds:
		codes = append(codes, string(in.State))
	}
	return slices.Compact(codes)
}

// explained looks codes up; what is not known of them is left out.
func explained(l explain.Language, channel string, codes ...string) ([]explanation, error) {
	found := []explanation{}
	for _, code := range codes {
		entries, err := explain.Find(code, channel)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			text, how := e.In(l)
			found = append(found, explanation{e.Code, e.Of, string(e.Heals), text.Cause, text.Remedy, e.Source, how, e.Whose(l), e.Ours()})
		}
	}
	return found, nil
}

// printExplanations prints what was found; about is the refund that it explains, nil if
// none.
func (p *program) printExplanations(about *refund.Inspection, found []explanation, l explain.Language) {
	out := struct {
		OutRefundNo  string        `json:"out_refund_no,omitempty"`
		State        string        `json:"state,omitempty"`
		ClaimedAt    time.Time     `json:"claimed_at,omitzero"`
		Amount       *amount       `json:"amount,omitempty"`
		Refusal      *refusal      `json:"refusal,omitempty"`
		Waits        *waiting      `json:"waits_for_funds,omitempty"`
		ReleasableAt time.Time     `json:"releasable_at,omitzero"`
		Explained    []explanation `json:"explained"`
	}{Explained: found}
	if about != nil {
		a := about.Refund.Amount
		out.OutRefundNo, out.State, out.ClaimedAt = about.OutRefundNo, string(about.State), about.ClaimedAt
		out.Amount, out.ReleasableAt = &amount{a.Refund, a.Total, a.Currency}, about.ReleasableAt
		if about.Refusal != nil {
			r := refusalOf(about.Refusal)
			out.Refusal = &r
		}
		if about.WaitingFunds {
			out.Waits = &waiting{about.WaitingSince, about.WaitingUntil}
		}
	}
	p.print(out, func(w io.Writer) {
		p.aboutTable(w, about, phrasesIn(l))
		for i, e := range found {
			if i > 0 {
				fmt.Fprintln(w)
			}
			fmt.Fprintf(w, "%s (%s): %s\n%s\n-> %s\n[%s]\n", e.Code, e.whose, e.how, e.Cause, e.Remedy, e.Source)
		}
	})
}
