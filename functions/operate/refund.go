package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"wxrefund/shared/config"
	"wxrefund/shared/refund"
	"wxrefund/wxpayfunctions"
)

func refundCommand() command {
	return command{
		name:     "refund",
		synopsis: "Refund",
		more: "By the rules that the functions have: the same number refunds once, never above the order, and what\n" +
			"REFUND_MAX_FEN and the channel allow. Amounts are in fen (in other currencies the minor unit): 123 is 1.23.\n" +
			"With -f FILE, or -f - for standard input: the fields as JSON, as a mini-program passes them.\n" +
			"Choose the number first and keep it: when the outcome is unknown, repeat the same command.\n",
		example: "refund -out-refund-no refund-1 -out-trade-no order-1 -amount 60 -total 100 -reason damaged",
		setup: func(f *flag.FlagSet) action {
			var req refund.Request
			f.StringVar(&req.OutRefundNo, "out-refund-no", "", "the `number` of this refund, yours to choose")
			f.StringVar(&req.OutTradeNo, "out-trade-no", "", "the order, by the shop's `number`")
			f.StringVar(&req.TransactionID, "transaction-id", "", "the order, by WeChat Pay's `number`")
			f.Var((*fen)(&req.Amount.Refund), "amount", "what to refund, in `fen`")
			f.Var((*fen)(&req.Amount.Total), "total", "the order's total, in `fen`")
			f.StringVar(&req.Amount.Currency, "currency", "CNY", "`code` of ISO 4217")
			f.StringVar(&req.Reason, "reason", "", "`text` that the buyer sees")
			f.StringVar(&req.FundsAccount, "funds-account", "", "which of the merchant's `accounts` pays, as AVAILABLE")
			file := f.String("f", "", "read all of it from this `file` as JSON; -: from standard input")
			return func(ctx context.Context, p *program, _ []string) error {
				event, err := p.refundEvent(f, req, *file)
				if err != nil {
					return err
				}
				return p.refund(ctx, event)
			}
		},
	}
}

// maxFile is more than a request can have, in bytes: the dispatcher has a bound of its own.
const maxFile = 1 << 20

// refundEvent is what a mini-program would call the dispatcher with.
func (p *program) refundEvent(f *flag.FlagSet, req refund.Request, file string) ([]byte, error) {
	fields, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	if file != "" {
		var beside string
		f.Visit(func(g *flag.Flag) {
			if req := (map[string]bool{"f": true, "json": true, "yes": true, "as": true, "env": true}); !req[g.Name] {
				beside = g.Name
			}
		})
		if beside != "" {
			return nil, usage("-%s does not go with -f: the file has all of it", beside)
		}
		if fields, err = p.read(file); err != nil {
			return nil, err
		}
	}
	return append(append([]byte(`{"type":"wxpay_refund","data":`), fields...), '}'), nil
}

// read reads one JSON value from a file, or from standard input.
func (p *program) read(file string) ([]byte, error) {
	in := p.stdin
	if file != "-" {
		opened, err := os.Open(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usage("-f: there is no file %s", file)
		} else if err != nil {
			return nil, usage("-f: %v", err)
		}
		defer func() { _ = opened.Close() }() // it was only read
		in = opened
	}
	b, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	switch b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")); {
	case err != nil:
		return nil, usage("-f: %v", err)
	case len(b) > maxFile:
		return nil, usage("-f: the file has more than %d bytes", maxFile)
	case !json.Valid(b): // one value: what is put around it stays around it
		return nil, usage("-f: that is not JSON")
	}
	return b, nil
}

// dispatcher is that of the deployment. What it refuses is not logged besides being said,
// unless somebody wants the log.
func (p *program) dispatcher(ctx context.Context) (*config.System, *wxpayfunctions.Handler, error) {
	sys, err := p.system(ctx)
	if err != nil {
		return nil, nil, err
	}
	log := p.log()
	if p.logLevel == "" {
		log = slog.New(slog.DiscardHandler)
	}
	return sys, wxpayfunctions.New(sys.Refunds, log), nil
}

// refund does what the dispatcher does when a mini-program calls it with the event, once
// the person has seen what that is.
func (p *program) refund(ctx context.Context, event []byte) error {
	sys, dispatcher, err := p.dispatcher(ctx)
	if err != nil {
		return err
	}
	req, err := dispatcher.ReadRefund(event)
	if err != nil {
		return err
	}
	if err := allKnown(event); err != nil {
		return err
	}
	if err := sys.Refunds.Bind(ctx); err != nil {
		return err
	}
	if err := sys.Refunds.CheckClock(ctx); err != nil {
		return err
	}
	order := req.OutTradeNo
	if order == "" {
		order = req.TransactionID
	}
	ctx, err = p.confirm(fmt.Sprintf("refund %s of order %s under the number %s", money(req.Amount.Refund, req.Amount.Currency), order, req.OutRefundNo), req.OutRefundNo)
	if err != nil {
		return err
	}
	return p.printReply(sys.Refunds, req, dispatcher.Invoke(ctx, p.caller(), event))
}

// allKnown refuses a field that no refund has. The functions ignore what they do not know;
// here somebody has written it for this one refund, and it would be dropped.
func allKnown(event []byte) error {
	strict := json.NewDecoder(bytes.NewReader(event))
	strict.DisallowUnknownFields()
	var into struct {
		Type string
		Data refund.Request
	}
	if err := strict.Decode(&into); err != nil {
		if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
			return usage("-f: a refund has no field %s", name)
		}
		return err
	}
	return nil
}

// A reply is the dispatcher's, as far as the table shows it.
type reply struct {
	Code       int           `json:"code"`
	Data       refund.Refund `json:"data"`
	ErrCode    string        `json:"err_code"`
	Message    string        `json:"message"`
	Retry      string        `json:"retry"`
	RetryAfter int64         `json:"retry_after"`
}

// printReply prints what the dispatcher answered.
func (p *program) printReply(refunds *refund.Service, req refund.Request, answer []byte) error {
	var r reply
	if err := json.Unmarshal(answer, &r); err != nil {
		return err
	}
	if p.json {
		p.print(json.RawMessage(answer), nil)
	}
	if r.Code == proposedCode {
		return p.printProposed(req, answer)
	}
	if r.Code != 0 {
		text := fmt.Sprintf("%s (%d %s): %s", r.Message, r.Code, r.ErrCode, r.next())
		if _, err := known(p.again(), refunds, req.OutRefundNo); err == nil { // most refusals leave no trace
			text += fmt.Sprintf("; operate show %s has what is on record", req.OutRefundNo)
		}
		return finding("%s", text)
	}
	if !p.json {
		p.print(nil, func(w io.Writer) {
			fmt.Fprintf(w, "%s is %s: %s of %s.\n", req.OutRefundNo, r.Data.Status, money(r.Data.Amount.Refund, r.Data.Amount.Currency), money(r.Data.Amount.Total, r.Data.Amount.Currency))
		})
	}
	if r.Data.Status == refund.StatusClosed {
		return finding("%s is closed: no money moved, and the number is used up", req.OutRefundNo)
	}
	return nil
}

// proposedCode is the reply's code of a refund that waits for another person.
const proposedCode = 202

// printProposed says that a refund has become an application: nothing is wrong, and nothing
// is refunded.
func (p *program) printProposed(req refund.Request, answer []byte) error {
	if p.json {
		return nil // it is printed
	}
	var r struct {
		Data    refund.Application
		Message string
	}
	if err := json.Unmarshal(answer, &r); err != nil {
		return err
	}
	next, yet := "operate application "+r.Data.ID+" shows it", ""
	switch r.Data.State {
	case refund.ApplicationPending:
		next, yet = "somebody else: operate approve "+r.Data.ID, " yet"
	case refund.ApplicationApproved:
		yet = " under this number"
	}
	p.print(nil, func(w io.Writer) {
		fmt.Fprintf(w, "%s is not refunded%s: %s.\nThe application is %s; %s\n", req.OutRefundNo, yet, r.Message, r.Data.ID, next)
	})
	if r.Data.State != refund.ApplicationPending && r.Data.State != refund.ApplicationApproved {
		return finding("the application is %s", strings.ToLower(string(r.Data.State)))
	}
	return nil
}

// next says what may be done after a refusal.
func (r reply) next() string {
	next := map[string]string{
		"never":       "repeating it as it is is useless",
		"same_number": "repeat the same command",
		"later":       "repeat the same command later, once anything that it names is mended",
		"new_number":  "only another number can succeed",
	}[r.Retry]
	if r.RetryAfter > 0 {
		next += fmt.Sprintf(", in %d seconds", r.RetryAfter)
	}
	return next
}

// caller is the person who works at this program.
func (p *program) caller() refund.Caller {
	return refund.Caller{Kind: refund.Operator, Name: p.as}
}
