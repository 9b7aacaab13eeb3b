package refund

import (
	"log/slog"
	"slices"
)

// CallerKind says what kind of program or person calls.
type CallerKind int

const (
	Nobody   CallerKind = iota // not attested by the platform: an HTTP request, say
	User                       // a mini-program user, by the openid that the platform injected
	Server                     // a program of the merchant's own
	Unlisted                   // the platform attests no client, and a source that nobody has listed: it may give hints, and nothing else
)

// A Caller is who asks, as the door attested it: never what a letter says of
// itself. The zero value is nobody.
type Caller struct {
	Kind   CallerKind
	OpenID string // of a User
	Source string // the chain that the platform attests (TCB_SOURCE), where there is one
}

// LogValue names the caller without giving the openid away.
func (c Caller) LogValue() slog.Value {
	switch c.Kind {
	case Server:
		return slog.StringValue("server")
	case User:
		return slog.StringValue("user " + mask(c.OpenID))
	case Unlisted:
		return slog.StringValue("unlisted source")
	}
	return slog.StringValue("nobody")
}

// mask keeps enough of a personal datum to recognise it beside another, and no more.
func mask(s string) string {
	r := []rune(s)
	if len(r) <= 8 {
		return "****"
	}
	return string(r[:2]) + "****" + string(r[len(r)-2:])
}

// Policy says who may do what. Servers may; users may only if they are
// operators; nobody may not.
type Policy struct {
	Operators []string // openids
	MaxFen    int64    // the most that one user's refund may be, CNY only; 0: no limit
}

var errDenied = &Error{Code: CodeDenied, Next: Never, Message: "this caller may not refund or query"}

// Admit says whether the caller may refund and query at all: nil, or an error with code [CodeDenied].
func (p Policy) Admit(c Caller) error {
	if c.Kind == Server || c.Kind == User && c.OpenID != "" && slices.Contains(p.Operators, c.OpenID) {
		return nil
	}
	return errDenied
}

// admitAmount says whether the caller may refund that much.
func (p Policy) admitAmount(c Caller, a RequestAmount) error {
	if err := p.Admit(c); err != nil {
		return err
	}
	if c.Kind == Server || p.MaxFen == 0 || a.Currency == "CNY" && a.Refund <= p.MaxFen {
		return nil
	}
	return &Error{Code: CodeDenied, Next: Never, Message: "amount.refund is more than this caller may refund"}
}
