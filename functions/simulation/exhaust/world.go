package exhaust

import (
	"encoding/binary"
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"wxrefund/shared/refund"
)

// A world is all that is outside of the processes, while none runs or while some do.
type world struct {
	now       time.Time
	items     Items    // of the ledger
	refunds   []held   // at WeChat Pay, oldest first
	flying    []flying // requests whose sender has given up, and which may still arrive
	letters   []letter // notifications that have been written
	clients   []client
	told      []told   // what the subscriber was told
	trouble   int      // how much may still go wrong
	preempt   int      // how often a process may still be overtaken within a call
	waits     int      // how often time may still pass
	done      []bool   // of the acts of the scenario
	submitted []sub    // when a number was last submitted
	billed    bool     // a bill was read to its end
	approvers []string // who was not denied to approve
}

// A held refund is one that WeChat Pay has accepted.
type held struct {
	req    refund.Request
	byHand bool
	past   []refund.Status // the last is the present one
	at     time.Time       // when it was accepted
	wish   int             // -1: nobody's here

	followed int // how far the ledger has followed
}

func (h held) status() refund.Status { return h.past[len(h.past)-1] }

// A flying request may arrive until a moment on which whoever releases a claim relies.
type flying struct {
	req   refund.Request
	until time.Time
	wish  int
}

type letter struct {
	no     string
	status refund.Status
	sent   int // how often it was sent
	acked  bool
}

// A client asks for the refund of a wish until it is satisfied.
type client struct {
	number int // of the numbers that it has used under its wish
	left   int // calls
	done   bool
}

// told is one event as a subscriber has it.
type told struct {
	id, no string
	status refund.Status
	heard  bool // its answer was, or may have been
	busy   bool // it is being told now
	times  int
}

// sub is when a number was last submitted, by the ledger.
type sub struct {
	no string
	at time.Time
}

func (w *world) clone() *world {
	c := *w
	c.items = maps.Clone(w.items)
	c.refunds = slices.Clone(w.refunds)
	for i := range c.refunds {
		c.refunds[i].past = slices.Clone(c.refunds[i].past)
	}
	c.flying, c.letters, c.clients = slices.Clone(w.flying), slices.Clone(w.letters), slices.Clone(w.clients)
	c.told, c.done, c.submitted = slices.Clone(w.told), slices.Clone(w.done), slices.Clone(w.submitted)
	return &c
}

func (w *world) held(no string) *held {
	for i := range w.refunds {
		if w.refunds[i].req.OutRefundNo == no {
			return &w.refunds[i]
		}
	}
	return nil
}

// A digest sums values up.
type digest struct{ h maphash.Hash }

func (d *digest) text(s string) {
	d.int(int64(len(s)))
	_, _ = d.h.WriteString(s)
}

func (d *digest) int(n int64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n)) // #nosec G115 -- its bits
	_, _ = d.h.Write(b[:])
}

func (d *digest) bool(b bool) {
	if b {
		d.int(1)
		return
	}
	d.int(0)
}

func (d *digest) request(r refund.Request) {
	d.text(r.OutRefundNo)
	d.text(r.TransactionID)
	d.text(r.OutTradeNo)
	d.text(r.Reason)
	d.int(r.Amount.Refund)
	d.int(r.Amount.Total)
}

// world sums a world up, with the versions of items only while processes may know them.
func (d *digest) world(x *explorer, w *world, versions bool) {
	d.int(w.now.UnixMilli())
	var sum uint64
	for k, it := range w.items {
		if !silent(k) {
			v := x.itemDigest(it)
			if versions {
				v = mix(v + uint64(it.Version)) // #nosec G115 -- its bits
			}
			sum += v
		}
	}
	d.int(int64(sum)) // #nosec G115 -- its bits
	for _, h := range w.refunds {
		d.request(h.req)
		d.bool(h.byHand)
		d.int(h.at.UnixMilli())
		for _, s := range h.past {
			d.text(string(s))
		}
	}
	for _, f := range w.flying {
		d.request(f.req)
		d.int(f.until.UnixMilli())
	}
	for _, l := range w.letters {
		d.text(l.no + string(l.status))
		d.int(int64(l.sent))
		d.bool(l.acked)
	}
	for _, c := range w.clients {
		d.int(int64(c.number))
		d.int(int64(c.left))
		d.bool(c.done)
	}
	for _, t := range w.told {
		d.text(t.id)
		d.bool(t.heard)
		d.bool(t.busy)
		d.int(int64(t.times))
	}
	d.int(int64(w.trouble))
	d.int(int64(w.preempt))
	d.int(int64(w.waits))
	for _, b := range w.done {
		d.bool(b)
	}
	d.bool(w.billed)
	for _, who := range w.approvers {
		d.text(who)
	}
}

func mix(v uint64) uint64 {
	v ^= v >> 33
	v *= 0xff51afd7ed558ccd
	v ^= v >> 33
	v *= 0xc4ceb9fe1a85ec53
	return v ^ v>>33
}
