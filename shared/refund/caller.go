package refund

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// CallerKind says what kind of program or person calls.
type CallerKind int

const (
	Nobody   CallerKind = iota // not attested by the platform: an HTTP request, say
	User                       // a mini-program user, by the openid that the platform injected
	Server                     // a program of the merchant's own
	Unlisted                   // the platform attests no client, and a source that nobody has listed: it may give hints, and nothing else
	Operator                   // a person at the operator's program, by the name that this person gives
)

// A Caller is who asks, as the platform attests it: never what a request says of
// itself. The zero value is nobody.
type Caller struct {
	Kind      CallerKind
	OpenID    string // of a User
	AppID     string // of a User: the program in which the openid is theirs, as the platform attests it; "": it does not say
	Source    string // the chain that the platform attests (TCB_SOURCE), where there is one; else what attests a Server
	Name      string // of an Operator. Nobody attests it: whoever can write to the ledger can give any
	RequestID string // of the invocation, as the platform names it; "": there is none
}

// LogValue names the caller without giving the openid or the name away.
func (c Caller) LogValue() slog.Value {
	switch c.Kind {
	case Server:
		return slog.StringValue("server")
	case Unlisted:
		return slog.StringValue("unlisted source")
	}
	return slog.StringValue(maskIdentity(c.Identity()))
}

// Policy says who may do what. Servers may, and whoever has the settings and runs the
// operator's program with them; users may only if they are operators; nobody may not.
type Policy struct {
	Operators []string // openids

	// ApprovalFen is the most that one person may refund of one order within a day without
	// another person's approval, CNY; 0: no limit. What is above is proposed instead.
	ApprovalFen int64

	MaxFen int64 // the most that one person's refund may be, a user's or an operator's, CNY only; 0: no limit
}

// Admit says whether the caller may refund and query at all: nil, or an error
// with code [CodeDenied] that names what decides.
func (p Policy) Admit(c Caller) error {
	switch {
	case c.Kind == Server || c.Kind == Operator && c.Name != "" || c.Kind == User && c.OpenID != "" && slices.Contains(p.Operators, c.OpenID):
		return nil
	case c.Kind == User && c.OpenID != "":
		return denied("this caller may not refund or query: its openid is not in REFUND_OPERATORS")
	case c.Kind == Unlisted:
		return denied("this caller may not refund or query: its source %s is not in REFUND_SERVER_SOURCES", printable(c.Source, 64))
	}
	if c.Kind == Operator {
		return denied("this caller may not refund or query: an operator must have a name")
	}
	return denied("this caller may not refund or query: it has no identity here: it is a client without an openid, " +
		"or comes by HTTP, where headers such as x-wx-openid are not believed: REFUND_SERVER_TOKEN gives an identity there " +
		"or, behind a gateway that strips and sets them, TRUST_WX_HEADERS")
}

// admitAmount says whether a caller who may refund may refund that much.
func (p Policy) admitAmount(c Caller, a RequestAmount) error {
	switch {
	case c.Kind == Server || p.MaxFen == 0:
		return nil
	case a.Currency != "CNY":
		return denied("amount.currency must be CNY for this caller, since REFUND_MAX_FEN is set")
	case a.Refund > p.MaxFen:
		return denied("amount.refund is more than this caller may refund: REFUND_MAX_FEN is %d", p.MaxFen)
	}
	return nil
}

func denied(format string, args ...any) *Error {
	return &Error{Code: CodeDenied, Next: Never, Message: fmt.Sprintf(format, args...)}
}

// printable shows a text that came from outside in quotes, its first part only.
func printable(s string, most int) string {
	cut := strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s[:min(len(s), most)])
	if len(s) > most {
		cut += "..."
	}
	return `"` + cut + `"`
}

// evidence is what the log keeps of whoever was not admitted: their openid in full,
// so that it can be copied into REFUND_OPERATORS, or the source that they came from. Nothing
// else that we log or answer holds an openid in full.
func (c Caller) evidence() []any {
	switch {
	case c.Kind == User && len(c.OpenID) <= maxOpenID:
		return []any{"openid", c.OpenID}
	case c.Kind == Unlisted, c.Kind == Nobody && c.Source != "":
		return []any{"source", printable(c.Source, 256)}
	}
	return nil
}

// maxOpenID is more than WeChat's openids have, which are of 28 characters.
const maxOpenID = 128
