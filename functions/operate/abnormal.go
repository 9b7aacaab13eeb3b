package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"

	"wxrefund/shared/refund"
)

func abnormalCommand() command {
	return command{
		name: "abnormal", operands: "NO",
		synopsis: "Finish a refund that the buyer's bank has refused",
		more: "WeChat Pay is asked first, and must say ABNORMAL (apiv3 alone). The money goes to another debit card of the\n" +
			"buyer, or to the merchant's own account: then the customer has nothing, and is to be paid otherwise. Card\n" +
			"and name are sealed for WeChat Pay, and neither shown, kept nor logged. -f - reads them as JSON from standard\n" +
			"input, so that they are not in your shell's history: {\"bank_account\":\"…\",\"real_name\":\"…\"}.\n",
		example: "abnormal refund-1 -type MERCHANT_BANK_CARD",
		setup: func(f *flag.FlagSet) action {
			var a refund.AbnormalRequest
			f.StringVar(&a.Type, "type", "", "where to: `USER_BANK_CARD` or MERCHANT_BANK_CARD")
			f.StringVar(&a.BankType, "bank-type", "", "the card's `bank`, as ICBC_DEBIT")
			f.StringVar(&a.BankAccount, "bank-account", "", "the card's `number`")
			f.StringVar(&a.RealName, "real-name", "", "the `name` of whose card it is")
			file := f.String("f", "", "read what the flags do not say from this `file` as JSON; -: from standard input")
			return func(ctx context.Context, p *program, operands []string) error {
				event, err := p.abnormalEvent(operands, a, *file)
				if err != nil {
					return err
				}
				return p.abnormal(ctx, event)
			}
		},
	}
}

// abnormalEvent is what a mini-program would call the dispatcher with.
func (p *program) abnormalEvent(operands []string, a refund.AbnormalRequest, file string) ([]byte, error) {
	no, err := number(operands)
	if err != nil {
		return nil, err
	}
	fields := map[string]json.RawMessage{}
	if file != "" {
		b, err := p.read(file)
		if err != nil {
			return nil, err
		}
		if json.Unmarshal(b, &fields) != nil || fields == nil {
			return nil, usage("-f: that is no JSON object")
		}
	}
	for name, said := range map[string]string{"out_refund_no": no, "type": a.Type, "bank_type": a.BankType, "bank_account": a.BankAccount, "real_name": a.RealName} {
		if said == "" {
			continue
		}
		if _, twice := fields[name]; twice {
			return nil, usage("-f: %s is said on the command line, too", name)
		}
		if fields[name], err = json.Marshal(said); err != nil {
			return nil, err
		}
	}
	return json.Marshal(map[string]any{"type": "wxpay_refund_abnormal", "data": fields})
}

// abnormal does what the dispatcher does when a mini-program calls it with the event, once
// the person has seen what that is, without the card.
func (p *program) abnormal(ctx context.Context, event []byte) error {
	sys, dispatcher, err := p.dispatcher(ctx)
	if err != nil {
		return err
	}
	a, err := dispatcher.ReadAbnormal(event)
	if err != nil {
		return err
	}
	if err := sys.Refunds.CheckClock(ctx); err != nil {
		return err
	}
	in, err := known(ctx, sys.Refunds, a.OutRefundNo)
	if err != nil {
		return err
	}
	to := "a debit card of the buyer (" + a.BankType + ")"
	if a.Type == refund.MerchantBankCard {
		to = "the merchant's own account, which leaves the customer with nothing"
	}
	ctx, err = p.confirm(fmt.Sprintf("have the %s of %s sent to %s", money(in.Refund.Amount.Refund, in.Refund.Amount.Currency), a.OutRefundNo, to), a.OutRefundNo)
	if err != nil {
		return err
	}
	answer := dispatcher.Invoke(ctx, p.caller(), event)
	var r reply
	if err := json.Unmarshal(answer, &r); err != nil {
		return err
	}
	if p.json {
		p.print(json.RawMessage(answer), nil)
	}
	if r.Code != 0 {
		return finding("%s (%d %s): %s; operate show %s has what is on record", r.Message, r.Code, r.ErrCode, r.next(), a.OutRefundNo)
	}
	if !p.json {
		p.print(nil, func(w io.Writer) {
			fmt.Fprintf(w, "%s is %s: WeChat Pay has taken it, and tells how it ends.\n", a.OutRefundNo, r.Data.Status)
		})
	}
	return nil
}
