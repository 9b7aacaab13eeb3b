package refund

import (
	"cmp"
	"strings"
	"time"
)

const (
	// maxBy bounds what a record keeps of who caused an entry of its history, in bytes.
	maxBy = 160
	// maxRequestID bounds the id of a request, in bytes. SCF's and Lambda's have 36.
	maxRequestID = 64
)

// The words before an identity.
const (
	userIs     = "user "
	serverIs   = "server "
	operatorIs = "operator "
	unlistedIs = "unlisted source "
)

// Identity says who the caller is, in full: "user " and the openid, "operator " and the
// name, "server " and what attests it, a source chain (scf) or a platform (lambda, bearer);
// "server" alone where the platform names no source, as SCF does of the cloud's own
// interface. It holds personal data: it is for the ledger, never for the log.
func (c Caller) Identity() string {
	switch c.Kind {
	case User:
		return identity(userIs, c.OpenID)
	case Server:
		return strings.TrimSpace(identity(serverIs, c.Source))
	case Operator:
		return identity(operatorIs, c.Name)
	case Unlisted:
		return identity(unlistedIs, c.Source)
	}
	return "nobody"
}

func identity(kind, who string) string { return kind + plain(who, maxBy-len(kind)) }

// plain is a text that came from outside as it can be kept in one line: its first part
// only, and what cannot be printed replaced. An operator's name may have any letters.
func plain(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

// hidden is in a text that was masked, and in no openid.
const hidden = "****"

// maskIdentity is who somebody is without what is personal in it: an openid or the
// name of an operator. What it has masked it leaves as it is.
func maskIdentity(who string) string {
	for _, kind := range []string{userIs, operatorIs} {
		if name, ok := strings.CutPrefix(who, kind); ok {
			return kind + cmp.Or(maskOnce(name), hidden)
		}
	}
	if who == "" || who == "nobody" || who == strings.TrimSpace(serverIs) || strings.HasPrefix(who, serverIs) || strings.HasPrefix(who, unlistedIs) {
		return who
	}
	return maskOnce(who) // no identity of ours: whatever the program of an operator calls itself
}

// mask keeps enough of a personal datum to recognise it beside another, and no more.
func mask(s string) string {
	r := []rune(s)
	if len(r) <= 8 {
		return hidden
	}
	return string(r[:2]) + hidden + string(r[len(r)-2:])
}

// maskOnce masks a text that may be masked already.
func maskOnce(s string) string {
	if s == "" || strings.Contains(s, hidden) {
		return s
	}
	return mask(s)
}

// An actor is who caused an entry of a history, in full; the zero value is this program
// by itself.
type actor struct{ by, requestID string }

// actor is the caller as histories name it.
func (c Caller) actor() actor {
	if c.Kind == Nobody {
		return actor{}
	}
	return actor{c.Identity(), plain(c.RequestID, maxRequestID)}
}

// named is somebody whose identity is given as [Caller.Identity] writes it.
func named(by, requestID string) actor {
	return actor{plain(by, maxBy), plain(requestID, maxRequestID)}
}

// entry begins a line of a history that the actor has caused.
func (a actor) entry(at time.Time, what string) HistoryEntry {
	return HistoryEntry{At: at, What: what, By: a.by, RequestID: a.requestID}
}
