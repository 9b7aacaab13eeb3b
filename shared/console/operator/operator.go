// Package operator serves the operator's console: the real ledger in a browser on the
// operator's machine. Its first screen answers whether anything is wrong.
//
// It only shows, unless it is told that the operator may act. Personal data is masked in
// everything that it sends.
package operator

import (
	"embed"
	"errors"
	"net/http"

	"wxrefund/shared/console"
	"wxrefund/shared/refund"
)

// assets are what the page has of its own.
//
//go:embed assets
var assets embed.FS

// A Config is what a console shows, and for whom.
type Config struct {
	Refunds  *refund.Service
	Operator string // who acts, by the name that goes into the history
	Act      bool   // whether the operator may change anything from here
}

// A Console is the console of one run of the operator's program.
type Console struct {
	cfg  Config
	gate gate
}

// New returns a console that nobody can see who has not got its address.
func New(cfg Config) *Console { return &Console{cfg, newGate()} }

// Path is that part of the console's address that lets in whoever opens it: behind the
// program's own address. It is as good as a password for as long as the program runs.
func (c *Console) Path() string { return c.gate.entrance() }

// Handler serves the console to this machine alone, and of its users to whoever has come
// in by [Console.Path].
func (c *Console) Handler() http.Handler {
	root := c.gate.root
	page := console.Page{Files: assets, Index: root, Parts: root}.Handler()
	api := console.API{Endpoints: c.endpoints(root + "api/"), Refuse: refuse}.Handler()
	mux := http.NewServeMux()
	mux.Handle(root, page)
	mux.Handle(root+"api/", api)
	return c.gate.guard(mux)
}

func (c *Console) endpoints(at string) []console.Endpoint {
	return []console.Endpoint{
		{Pattern: "GET " + at + "overview", Handle: c.getOverview},
		{Pattern: "GET " + at + "refunds?*", Handle: c.getRefunds},
		{Pattern: "GET " + at + "count?*", Handle: c.getCount},
		{Pattern: "GET " + at + "refunds.csv?*", Handle: c.getRefundsCSV},
		{Pattern: "GET " + at + "refunds/{no}", Handle: c.getRefund},
		{Pattern: "GET " + at + "upstream/{no}", Handle: c.getUpstream},
		{Pattern: "GET " + at + "orders/{no}", Handle: c.getOrder},
		{Pattern: "GET " + at + "alarms?*", Handle: c.getAlarms},
		{Pattern: "GET " + at + "applications?*", Handle: c.getApplications},
		{Pattern: "GET " + at + "applications/{id}", Handle: c.getApplication},
		{Pattern: "GET " + at + "books", Handle: c.getBooks},
		{Pattern: "GET " + at + "books/{day}", Handle: c.getBook},
		{Pattern: "POST " + at + "refunds/{no}/query", Handle: c.act(c.query)},
		{Pattern: "POST " + at + "refunds/{no}/cancel", Handle: c.act(c.cancel)},
		{Pattern: "POST " + at + "refunds/{no}/release", Handle: c.act(c.release)},
		{Pattern: "POST " + at + "refunds/{no}/redeliver", Handle: c.act(c.redeliver)},
		{Pattern: "POST " + at + "applications/{no}/approve", Handle: c.act(c.decide(c.cfg.Refunds.Approve))},
		{Pattern: "POST " + at + "applications/{no}/reject", Handle: c.act(c.decide(c.cfg.Refunds.Reject))},
		{Pattern: "POST " + at + "applications/{no}/withdraw", Handle: c.act(c.decide(c.cfg.Refunds.Withdraw))},
		{Pattern: "POST " + at + "acknowledge", Handle: c.act(c.acknowledge)},
		{Pattern: "POST " + at + "reconcile", Handle: c.act(c.reconcile)},
	}
}

// refuse is how an error of the service is told. The operator may see what the log sees.
func refuse(err error) *console.Refusal {
	e, ok := errors.AsType[*refund.Error](err)
	if !ok {
		return &console.Refusal{Status: http.StatusBadRequest, Text: err.Error()}
	}
	text := e.Message
	if e.Upstream != "" {
		text += " (" + e.Upstream + ")"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return &console.Refusal{Status: status(e.Code), Text: text}
}

func status(code refund.Code) int {
	switch code {
	case refund.CodeInvalid:
		return http.StatusBadRequest
	case refund.CodeDenied:
		return http.StatusForbidden
	case refund.CodeNotFound:
		return http.StatusNotFound
	case refund.CodeConflict:
		return http.StatusConflict
	case refund.CodeRejected:
		return http.StatusUnprocessableEntity
	case refund.CodeLimited:
		return http.StatusTooManyRequests
	case refund.CodeUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
