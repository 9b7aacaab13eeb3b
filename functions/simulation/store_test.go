package simulation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/refund"
)

// A faultyLedger is the real ledger as one call reaches it. Whatever is
// committed through it is shown to the invariants at that instant.
type faultyLedger struct {
	refund.Ledger
	call func() *call
}

func (l *faultyLedger) Get(ctx context.Context, keys ...refund.Key) (items []refund.Item, err error) {
	c := l.call()
	err = c.store(ctx, subject(keys), "read", func(ctx context.Context) error {
		items, err = l.Ledger.Get(ctx, keys...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return items, nil
}

func (l *faultyLedger) Commit(ctx context.Context, items ...refund.Item) error {
	c := l.call()
	keys := make([]refund.Key, 0, len(items))
	for _, it := range items {
		keys = append(keys, it.Key)
	}
	return c.store(ctx, subject(keys), c.w.invariants.kind(items), func(ctx context.Context) error {
		err := l.Ledger.Commit(ctx, items...)
		if err == nil {
			c.w.invariants.committed(c, items)
		}
		return err
	})
}

func (l *faultyLedger) List(ctx context.Context, index refund.Index, cursor string, limit int) (items []refund.Item, next string, err error) {
	c := l.call()
	err = c.store(ctx, "", "list", func(ctx context.Context) error {
		items, next, err = l.Ledger.List(ctx, index, cursor, limit)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return items, next, nil
}

func (l *faultyLedger) Count(ctx context.Context, index refund.Index) (n int64, err error) {
	c := l.call()
	err = c.store(ctx, "", "list", func(ctx context.Context) error {
		n, err = l.Ledger.Count(ctx, index)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

const refundPrefix = "refund/"

// subject is the refund that an access is about.
func subject(keys []refund.Key) string {
	for _, k := range keys {
		if no, ok := strings.CutPrefix(string(k), refundPrefix); ok {
			return no
		}
	}
	if len(keys) == 0 {
		return ""
	}
	return string(keys[0])
}

// kind names what a commit is for, so that crashes can be counted by it.
func (v *invariants) kind(items []refund.Item) string {
	for _, it := range items {
		no, ok := strings.CutPrefix(string(it.Key), refundPrefix)
		if !ok {
			continue
		}
		next, err := decodeRow(it.Body)
		before, _ := v.row(no)
		switch {
		case err != nil, next.State == "":
			continue
		case next.Attempt > before.Attempt:
			return "claim"
		case next.Asked > before.Asked:
			return "take-up"
		}
		return "settle"
	}
	for _, it := range items {
		if strings.HasPrefix(string(it.Key), applicationPrefix) {
			return v.applicationKind(it)
		}
	}
	if slices.ContainsFunc(items, func(it refund.Item) bool { return strings.HasPrefix(string(it.Key), billPrefix) }) {
		return "bill"
	}
	return "limit"
}

// A refundRow is what the invariants read of a refund in the ledger.
type refundRow struct {
	State    string
	Foreign  bool
	Order    string
	Also     string
	Taken    bool // rejected, and Refund, Order and Held are another's, which has the number
	Released bool
	Held     int64
	Counted  bool
	Asked    int
	Absent   bool
	Silent   bool // of whom subscribers are not told
	Notices  notices
	Causes   []struct {
		AckAt time.Time `json:"ack_at"`
	}
	ClaimedAt time.Time `json:"claimed_at"`
	Attempt   int
	Open      []int
	Funds     *struct{} // claimed, and refused because the balance is too low
	Request   content
	Proposed  string // the application that waits, or has waited, under the number
	Refund    struct {
		content
		Status string
	}
}

// notices are events that an item of the ledger owes to subscribers.
type notices []struct {
	ID          string
	Refund      struct{ Status string }
	Application struct{ State string }
	Owed        []struct {
		To   string
		Lost bool
	}
}

// A content is what a claim asks for, as far as it says whose refund one is.
type content struct {
	TransactionID string `json:"transaction_id"`
	OutTradeNo    string `json:"out_trade_no"`
	Amount        struct{ Refund int64 }
}

// about reports whether a refund that WeChat Pay holds is the one asked for: the
// amount agrees, and the order by one of its names.
func (c content) about(u upstreamRefund) bool {
	return c.Amount.Refund == u.Amount.Refund &&
		(c.TransactionID != "" && c.TransactionID == u.TransactionID || c.OutTradeNo != "" && c.OutTradeNo == u.OutTradeNo)
}

func decodeRow(body []byte) (refundRow, error) {
	var r refundRow
	return r, json.NewDecoder(bytes.NewReader(body)).Decode(&r)
}

// class is what the refund is to be listed under: its state, marked while a person should
// look at it.
func (r refundRow) class() string {
	for _, c := range r.Causes {
		if c.AckAt.IsZero() {
			return r.State + "!"
		}
	}
	for _, n := range r.Notices {
		for _, d := range n.Owed {
			if d.Lost {
				return r.State + "!"
			}
		}
	}
	return r.State
}

// fen is the refund's amount as far as the ledger knows it.
func (r refundRow) fen() int64 {
	if r.Refund.Amount.Refund > 0 {
		return r.Refund.Amount.Refund
	}
	return r.Request.Amount.Refund
}

// waits reports whether it waits for the balance, and nothing of it is in doubt.
func (r refundRow) waits() bool { return r.State == "claimed" && r.Funds != nil && len(r.Open) == 0 }

// status is what the ledger says of the refund that WeChat Pay has under the number.
func (r refundRow) status() string {
	if r.Taken {
		return r.Refund.Status
	}
	return strings.ToUpper(r.State)
}

func (r refundRow) final() bool { return r.State == "success" || r.State == "closed" }

// An accountRow is what the invariants read of an order's account.
type accountRow struct {
	SameAs    string `json:"same_as"`
	Trade     string `json:"out_trade_no"`
	Wechat    string `json:"transaction_id"`
	Total     int64
	Confirmed bool
	Reserved  int64
	Members   []accountMember
	Claims    []accountMember // by their callers' other name
}

type accountMember struct {
	No      string
	Held    int64
	Total   int64
	Foreign bool
}
