package control

import (
	"errors"
	"net/http"

	"wxrefund/shared/sandbox/world"
)

// errNoExchange is for an ID that no exchange has, or none that is still kept.
var errNoExchange = errors.New("sandbox: no exchange has this id, or it is no longer kept")

// An exchangeSummary is a line of the journal.
type exchangeSummary struct {
	ID          string `json:"id"`
	At          string `json:"at"`
	Kind        string `json:"kind"` // call, notification, function
	Method      string `json:"method"`
	Path        string `json:"path"`
	Status      int    `json:"status"` // 0: no answer
	OutRefundNo string `json:"out_refund_no"`
	Refused     bool   `json:"refused"`
	Code        string `json:"code,omitempty"`
	Fault       string `json:"fault,omitempty"`
	LatencyMS   int64  `json:"latency_ms"`
}

func summarize(x *world.Exchange) exchangeSummary {
	out := exchangeSummary{
		ID: x.ID, At: world.StampMS(x.At), Kind: x.Kind, Method: x.Method, Path: x.Path, Status: x.Status,
		Refused: x.Refused, Code: x.Code, Fault: x.Fault, LatencyMS: x.Latency.Milliseconds(),
	}
	if len(x.About) > 0 {
		out.OutRefundNo = x.About[0]
	}
	return out
}

// An exchangeObject is an exchange in full.
type exchangeObject struct {
	exchangeSummary
	About    []string      `json:"about"` // all refunds that it names
	Request  messageObject `json:"request"`
	Response struct {
		Status int `json:"status"`
		messageObject
	} `json:"response"`
	Checks []world.Check `json:"checks"`
	Caller *callerObject `json:"caller,omitempty"`
}

// A messageObject is one half of an exchange.
type messageObject struct {
	Headers [][2]string `json:"headers"`
	Body    string      `json:"body"`
	Cut     bool        `json:"cut,omitempty"`
	Opened  string      `json:"opened,omitempty"`
}

// A callerObject is in whose name a function was called.
type callerObject struct {
	OpenID string `json:"openid"` // masked
	Source string `json:"source"`
}

func halfOf(m world.Message) messageObject {
	return messageObject{append([][2]string{}, m.Headers...), m.Body, m.Cut, m.Opened}
}

// exchangesAbout are the newest that have to do with a refund.
func (d *Door) exchangesAbout(outRefundNo string) []exchangeSummary {
	return summaries(d.world.Exchanges(world.JournalQuery{Refund: outRefundNo}), page{limit: usualLimit})
}

func summaries(all []*world.Exchange, p page) []exchangeSummary {
	out := []exchangeSummary{}
	from := min(p.offset, len(all))
	for _, x := range all[from:min(from+p.limit, len(all))] {
		out = append(out, summarize(x))
	}
	return out
}

func (d *Door) getExchanges(r *http.Request, _ []byte) (any, error) {
	p := readParams(r)
	kinds := []string{world.ExchangeCall, world.ExchangeNotification, world.ExchangeFunction}
	refused := p.flag("refused")
	ask := world.JournalQuery{Refund: p.text("refund"), Kind: p.one("kind", kinds...), Refused: refused != nil && *refused}
	part := p.page()
	if err := p.bad(); err != nil {
		return nil, err
	}
	all := d.world.Exchanges(ask)
	return struct {
		Total     int               `json:"total"`
		Offset    int               `json:"offset"`
		Exchanges []exchangeSummary `json:"exchanges"`
	}{len(all), part.offset, summaries(all, part)}, nil
}

func (d *Door) getExchange(r *http.Request, _ []byte) (any, error) {
	x, ok := d.world.Exchange(r.PathValue("id"))
	if !ok {
		return nil, errNoExchange
	}
	out := exchangeObject{
		exchangeSummary: summarize(x), About: append([]string{}, x.About...), Request: halfOf(x.Request), Checks: append([]world.Check{}, x.Checks...),
	}
	out.Response.Status, out.Response.messageObject = x.Status, halfOf(x.Response)
	if x.Kind == world.ExchangeFunction {
		out.Caller = &callerObject{mask(x.OpenID), x.Source}
	}
	return out, nil
}
