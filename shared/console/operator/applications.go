package operator

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"wxrefund/shared/console"
	"wxrefund/shared/refund"
)

// An application is one in a list: a buyer's, or an operator's refund that needs a second
// person. Who has applied is masked.
type application struct {
	ID            string `json:"id"`
	State         string `json:"state"`
	OutTradeNo    string `json:"out_trade_no"`
	TransactionID string `json:"transaction_id"`
	Refund        int64  `json:"refund"`
	Total         int64  `json:"total"`
	Currency      string `json:"currency"`
	Reason        string `json:"reason"`
	Applicant     string `json:"applicant"`
	At            string `json:"at"`
	DecidedAt     string `json:"decided_at"`
	OutRefundNo   string `json:"out_refund_no"`
}

func applicationOf(a refund.Application) application {
	return application{
		ID: a.ID, State: strings.ToLower(string(a.State)), OutTradeNo: a.OutTradeNo, TransactionID: a.TransactionID,
		Refund: a.Amount.Refund, Total: a.Amount.Total, Currency: a.Amount.Currency, Reason: a.Reason, Applicant: a.Applicant,
		At: stamp(a.CreatedAt), DecidedAt: stamp(a.DecidedAt), OutRefundNo: a.OutRefundNo,
	}
}

// An appliedFor is one application with all that the ledger has of it.
type appliedFor struct {
	application
	Status   string   `json:"status"`   // of its refund, in WeChat Pay's words; "": there is none, or it has said nothing
	Merchant bool     `json:"merchant"` // the money is at the merchant's own account
	Timeline []line   `json:"timeline"` // the oldest first
	Can      []string `json:"can"`      // what an operator may do about it
}

// applicationStates are the states as the page writes them.
func applicationStates() (names []string) {
	for _, s := range refund.ApplicationStates() {
		names = append(names, strings.ToLower(string(s)))
	}
	return names
}

// mostApplications is how many are listed at a time, and how far a list goes.
const mostApplications, lastApplication = 50, 5000

func (c *Console) getApplications(r *http.Request, _ []byte) (any, error) {
	p := console.ReadParams(r)
	q := refund.ApplicationQuery{Kind: "applications", Offset: int(p.Number("offset", 0, lastApplication, 0)), Limit: int(p.Number("limit", 1, mostApplications, mostApplications))}
	if states := p.Among("state", applicationStates()...); len(states) > 0 {
		q.State = strings.ToUpper(states[0])
	}
	if err := p.Bad(); err != nil {
		return nil, err
	}
	found, err := c.cfg.Refunds.ListFor(r.Context(), c.caller(), q)
	if err != nil {
		return nil, err
	}
	out := struct {
		Total        int64         `json:"total"`
		Offset       int           `json:"offset"`
		Applications []application `json:"applications"`
	}{found.Total, found.Offset, []application{}}
	for _, item := range found.Items {
		if a, ok := item.(refund.Application); ok {
			out.Applications = append(out.Applications, applicationOf(a.Masked()))
		}
	}
	return out, nil
}

func (c *Console) getApplication(r *http.Request, _ []byte) (any, error) {
	a, err := c.cfg.Refunds.Application(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	own := a.MadeBy(c.caller())
	a = a.Masked()
	out := appliedFor{application: applicationOf(a), Timeline: []line{}, Can: []string{}}
	if a.Refund != nil {
		out.Status, out.Merchant = string(a.Refund.Status), a.Refund.ReceivedBy == refund.ReceivedByMerchant
	}
	for _, e := range a.History {
		out.Timeline = append(out.Timeline, line{At: stamp(e.At), What: e.What, Detail: cmp.Or(e.Note, string(e.Source)), By: e.By})
	}
	switch {
	case !c.cfg.Act:
	case own && a.State == refund.ApplicationPending:
		out.Can = append(out.Can, "withdraw")
	case own:
	case a.State == refund.ApplicationPending:
		out.Can = append(out.Can, "approve", "reject")
	case a.State == refund.ApplicationApproved && (a.Refund == nil || a.Refund.Status == "" || a.Refund.Status == refund.StatusClosed):
		out.Can = append(out.Can, "approve", "reject") // again: the same refund, or its next number; or never
	}
	return out, nil
}

// countApplications counts those that wait for a decision.
func (c *Console) countApplications(ctx context.Context, o *overview) error {
	found, err := c.cfg.Refunds.ListFor(ctx, c.caller(), refund.ApplicationQuery{Kind: "applications", State: string(refund.ApplicationPending), Limit: 1})
	o.Applications = found.Total
	return err
}

// decide decides about an application, once its id was typed.
func (c *Console) decide(how func(context.Context, refund.Caller, refund.Decision) (refund.Application, error)) func(context.Context, decision) (any, error) {
	return func(ctx context.Context, d decision) (any, error) {
		if err := d.confirmed(d.no); err != nil {
			return nil, err
		}
		_, err := how(ctx, c.caller(), refund.Decision{ApplicationID: d.no, Reason: d.Note})
		return done(err)
	}
}
