package refund

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// OwnershipKey is the item in which a ledger says whose it is. Whoever copies a ledger
// leaves it out, and writes the copy's own.
const OwnershipKey = Key("ledger/merchant")

// CheckKey is the item that `operate check` writes to see how long that takes, before the
// first refund, too. It says nothing of refunds.
const CheckKey = Key(checkKind + "/scratch")

// checkKind is what stands before the slash in the keys of a check's items.
const checkKind = "check"

// Local reports whether an item belongs to one database, and not to the refunds that it
// holds: [OwnershipKey], and what a check writes. A copy has none but its own.
func (k Key) Local() bool {
	return k == OwnershipKey || strings.HasPrefix(string(k), checkKind+"/")
}

// ErrClosed reports that a ledger is not to be used: it has moved, or is a copy that has
// not taken its source's place.
var ErrClosed = errors.New("refund: the ledger is closed")

// ClosedFor is how long after a ledger was closed nobody writes to it any more, in real
// time: those who have read before that it is open rely on that for a minute, and may be
// within a commit then.
const ClosedFor = boundFor + lease

// An Ownership says whose refunds a ledger holds, which channel made them, and whether
// the ledger may be used. The zero value is one that nobody has used.
type Ownership struct {
	Merchant Merchant
	Channel  string
	Copy     string   // of a ledger that has taken another one's place: the copy by which it did
	Closed   *Closing // nil: it is open

	version int64 // of the item
}

// A Closing says why a ledger is closed.
type Closing struct {
	Why    ClosedAs  `json:"why"`
	Copy   string    `json:"copy"`             // names the copying that it is an end of
	Source string    `json:"source,omitempty"` // of a copy: names the ledger that it is of
	Whole  time.Time `json:"whole,omitzero"`   // of a copy: when it last held all that its source did
	At     time.Time `json:"at"`
	By     string    `json:"by,omitempty"` // who decided
}

// ClosedAs is the end of a copying that a closed ledger is.
type ClosedAs string

const (
	ClosedAsCopy  ClosedAs = "copy"  // it is being filled, or is a backup
	ClosedAsMoved ClosedAs = "moved" // another ledger has taken its place
)

// ReadOwnership reads whose a ledger is.
func ReadOwnership(ctx context.Context, l Ledger) (Ownership, error) {
	items, err := l.Get(ctx, OwnershipKey)
	if err != nil {
		return Ownership{}, err
	}
	var b binding
	if err := decode(items[0], &b); err != nil {
		return Ownership{}, err
	}
	o := Ownership{Merchant: b.Merchant, Channel: b.Channel, Copy: b.Copy, version: items[0].Version}
	if b.Closed != nil {
		closing := b.Closed.Closing
		o.Merchant, o.Channel, o.Closed = b.Closed.Of, b.Closed.Channel, &closing
	}
	return o, nil
}

// Write writes the ownership over the one that was read: [ErrStale] if it has changed
// since. o is as it was written then.
func (o *Ownership) Write(ctx context.Context, l Ledger) error {
	b := binding{Merchant: o.Merchant, Channel: o.Channel, Copy: o.Copy}
	if o.Closed != nil {
		// A program that does not know of closed ledgers takes it for another merchant's,
		// and refuses it too.
		nobody := fmt.Sprintf("(closed: %s)", o.Closed.Why)
		b.Merchant, b.Channel = Merchant{MchID: nobody, SubMchID: nobody}, nobody
		b.Closed = &closedBinding{Closing: *o.Closed, Of: o.Merchant, Channel: o.Channel}
	}
	if err := l.Commit(ctx, item(OwnershipKey, o.version, b, time.Time{})); err != nil {
		return err
	}
	o.version++
	return nil
}

// Owner names the merchant, for people.
func (o Ownership) Owner() string { return binding{Merchant: o.Merchant}.name() }

// A closedBinding is what a closed ledger remembers of its binding.
type closedBinding struct {
	Closing
	Of      Merchant `json:"of"`
	Channel string   `json:"channel"`
}

// refusal is why nobody may use the ledger.
func (c closedBinding) refusal() *Error {
	causes := errors.Join(ErrNotOurs, ErrClosed)
	at := c.At.UTC().Format(time.RFC3339)
	if c.Why == ClosedAsMoved {
		return misbound(causes, "a ledger that was moved to another database at %s; name that one", at)
	}
	return misbound(causes, "a copy, begun at %s, that has not taken its source's place; end the move with functions/operate copy -close, or name the source", at)
}
