package operator

import (
	"net/http"

	"wxrefund/shared/console"
	"wxrefund/shared/refund"
)

// An openAlarm is a cause of alarm that goes on.
type openAlarm struct {
	ID           string `json:"id"`            // in a list
	OutRefundNo  string `json:"out_refund_no"` // "": it is about none
	About        string `json:"about"`
	Code         string `json:"code"`
	Why          string `json:"why"`
	Since        string `json:"since"`
	Count        int    `json:"count"`
	State        string `json:"state"`
	Amount       int64  `json:"amount"`
	Currency     string `json:"currency"`
	Acknowledged string `json:"acknowledged_at"` // "": nobody has
	Note         string `json:"note"`
}

// alarmOf is a cause as its refund has it.
func alarmOf(in refund.Inspection, c refund.Cause) openAlarm {
	return openAlarm{
		ID: in.OutRefundNo + " " + c.Code, OutRefundNo: in.OutRefundNo, About: in.OutRefundNo, Code: c.Code, Why: c.Why, Since: stamp(c.Since), Count: c.Count,
		State: string(in.State), Amount: in.Refund.Amount.Refund, Currency: in.Refund.Amount.Currency,
		Acknowledged: stamp(c.AcknowledgedAt), Note: c.Note,
	}
}

func openAlarmOf(a refund.OpenAlarm) openAlarm {
	return openAlarm{
		ID: a.About + " " + a.Code, OutRefundNo: a.OutRefundNo, About: a.About, Code: a.Code, Why: a.Why, Since: stamp(a.Since), Count: a.Count,
		State: string(a.State), Amount: a.Amount, Currency: a.Currency,
	}
}

func (c *Console) getAlarms(r *http.Request, _ []byte) (any, error) {
	p := console.ReadParams(r)
	cursor, limit := p.Token("cursor"), p.Limit()
	if err := p.Bad(); err != nil {
		return nil, err
	}
	found, next, err := c.cfg.Refunds.Alarms(r.Context(), cursor, limit)
	if err != nil {
		return nil, err
	}
	out := struct {
		Alarms []openAlarm `json:"alarms"`
		Next   string      `json:"next"`
	}{[]openAlarm{}, next}
	for _, a := range found {
		out.Alarms = append(out.Alarms, openAlarmOf(a))
	}
	return out, nil
}
