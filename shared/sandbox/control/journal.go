package control

import (
	"errors"
	"net/http"
	"slices"

	"wxrefund/shared/console"
	"wxrefund/shared/sandbox/world"
)

// errNoExchange is for an ID that no exchange has, or none that is still kept.
var errNoExchange = errors.New("sandbox: no exchange has this id, or it is no longer kept")

// shownExchanges is how many of a refund's stand on its page, the newest.
const shownExchanges = 50

// An exchangeSummary is a line of the journal.
type exchangeSummary struct {
	ID          string `json:"id"`
	At          string `json:"at"`
	Kind        string `json:"kind"` // call, notification, function
	Method      string `json:"method"`
	Path        string `json:"path"`
	Status      int    `json:"status"` // 0: no answer
	OutRefundNo string `json:"out_refund_no"`
	Name        string `json:"name,omitempty"` // the function or the API that a call of CloudBase's gateway carries
	Refused     bool   `json:"refused"`
	Rightly     bool   `json:"rightly,omitempty"` // it was a notification that must not be believed
	Code        string `json:"code,omitempty"`
	Fault       string `json:"fault,omitempty"`
	LatencyMS   int64  `json:"latency_ms"`
}

func summarize(x *world.Exchange) exchangeSummary {
	out := exchangeSummary{
		ID: x.ID, At: world.StampMS(x.At), Kind: x.Kind, Method: x.Method, Path: x.Path, Status: x.Status,
		Name: x.Name, Refused: x.Refused, Rightly: x.Rightly, Code: x.Code, Fault: x.Fault, LatencyMS: x.Latency.Milliseconds(),
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

func summaries(all []*world.Exchange) []exchangeSummary {
	out := []exchangeSummary{}
	for _, x := range all {
		out = append(out, summarize(x))
	}
	return out
}

func (d *Door) viewExchanges(r *http.Request, _ []byte) (any, error) {
	p := console.ReadParams(r)
	refund, kinds := p.Text("refund"), p.Among("kind", world.ExchangeCall, world.ExchangeNotification, world.ExchangeFunction)
	refused, part := p.Flag("refused"), pageOf(p)
	if err := p.Bad(); err != nil {
		return nil, err
	}
	found, total := pick(d.world.Exchanges(refund), part, func(x *world.Exchange) bool {
		return (kinds == nil || slices.Contains(kinds, x.Kind)) && is(refused, x.Refused)
	})
	return map[string]any{"total": total, "offset": part.offset, "exchanges": summaries(found)}, nil
}

func (d *Door) viewExchange(r *http.Request, _ []byte) (any, error) {
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
