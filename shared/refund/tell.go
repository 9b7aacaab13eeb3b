package refund

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// An Alerter tells people of alarms: a robot of a chat group, a webhook. The reconciler
// tells each of every open alarm at least once, and of one that goes on once a day.
type Alerter struct {
	Name      string        // stable: what it has been told is recorded under it; at most [MaxAlerterName] bytes of [a-z0-9-]
	PerMinute int           // messages that it takes within a minute
	Apart     time.Duration // least time between two messages

	// Busy reports when it is better left alone, for a minute or so; nil: never.
	Busy func(now time.Time) bool

	// Tell sends one message. It must return when ctx ends. An error means that it is sent
	// again later; one of [CodeLimited], not before its RetryAfter.
	Tell func(ctx context.Context, a Alert) error
}

// MaxAlerterName is the greatest length of an alerter's name in bytes.
const MaxAlerterName = 64

// An Alert is what one message tells: one alarm, or several of one code.
type Alert struct {
	ID       string // the same if it is sent again, and another for every other alert
	At       time.Time
	Merchant Merchant
	Alarms   []OpenAlarm // oldest first
	More     int         // further ones of the same code that are to be told, and are not in Alarms
	Open     int         // alarms that are open in all
	Waiting  []Waiting   // of alarms for want of funds: what all refunds that want them come to
}

// Waiting is what refunds in one currency that the merchant's balance is too low for come to.
type Waiting struct {
	Currency string
	Refunds  int
	Amount   int64 // minor units
}

// A Telling is that an alarm has reached an alerter.
type Telling struct {
	To string    `json:"to" ledger:"key"`
	At time.Time `json:"at"`
}

// maxTellings bounds how many alerters a cause remembers: those that are not set any more
// go first.
const maxTellings = 8

const (
	// maxScanned is how many items with open alarms one run looks at, the newest first.
	maxScanned = 1000
	// maxApart is up to how many untold alarms of one code have a message each.
	maxApart = 3
	// maxTogether is how many alarms one message is about.
	maxTogether = 50
	// maxMessages is how many messages one run sends to one alerter.
	maxMessages = 10
	// alertLease is how long, in real time, an alerter is left to one run.
	alertLease = time.Minute
	// maxAlertPause is the longest pause after failures. There is no end to the attempts but
	// that of the alarms: a message a hour is no burden.
	maxAlertPause = time.Hour
	// fundsAgain is how far apart messages about want of funds are: each gives the sum of all.
	fundsAgain = time.Hour
	// unreachableAfter is when an alerter that takes no message is an alarm itself.
	unreachableAfter = 24 * time.Hour
)

// An alertState is what the reconcilers share about one alerter. Its times are real: so
// are the limits that it keeps.
type alertState struct {
	Lease    time.Time   `json:"lease,omitzero"`
	Next     time.Time   `json:"next,omitzero"` // not before
	Failures int         `json:"tries,omitempty"`
	Failing  time.Time   `json:"failing,omitzero"` // since when
	Sent     []time.Time `json:"sent,omitempty"`   // messages of the last minute
	Funds    time.Time   `json:"funds,omitzero"`   // the last message about want of funds
}

func alerterKey(name string) Key { return Key("alert/" + name) }

// tellAlarms tells the alerters what is open and what they have not been told.
func (s *Service) tellAlarms(ctx context.Context) {
	if len(s.Alerters) == 0 {
		return
	}
	open, err := s.allOpen(ctx)
	if err != nil {
		s.log(ctx, slog.LevelWarn, "untold", "", "error", err)
		return
	}
	var wg sync.WaitGroup
	for _, a := range s.Alerters {
		if a.Busy != nil && a.Busy(time.Now()) {
			continue // the next run
		}
		if due := slices.DeleteFunc(slices.Clone(open), func(c openCause) bool { return !c.cause.dueTo(a.Name, s.now()) }); len(due) > 0 {
			wg.Go(func() {
				if err := s.tellAlerter(ctx, a, open, due); err != nil {
					s.log(ctx, slog.LevelWarn, "untold", "", "to", a.Name, "error", err)
				}
			})
		}
	}
	wg.Wait()
}

// allOpen lists the open alarms, of the newest items if there are very many.
func (s *Service) allOpen(ctx context.Context) (open []openCause, err error) {
	cursor := ""
	for scanned := 0; scanned < maxScanned && timeLeft(ctx) > recordTime; scanned += runPage {
		items, next, err := s.Ledger.List(ctx, Recent(time.Time{}, time.Time{}, attentionClasses()...), cursor, runPage)
		if err != nil {
			return nil, ledgerError(err)
		}
		for _, it := range items {
			open = append(open, causesOf(it)...)
		}
		if cursor = next; next == "" {
			break
		}
	}
	return open, nil
}

// dueTo reports whether an alerter is to be told of the cause now.
func (c *Cause) dueTo(name string, now time.Time) bool {
	i := slices.IndexFunc(c.Told, func(t Telling) bool { return t.To == name })
	if i < 0 {
		return true
	}
	since := now.Sub(c.Told[i].At)
	return c.LoggedAt.After(c.Told[i].At) && since >= alarmAgain || since < -clockSkew // which a wrong clock has set
}

// tellAlerter tells one alerter what is due, unless another run is at it.
func (s *Service) tellAlerter(ctx context.Context, a Alerter, open, due []openCause) error {
	st, version, ok, err := s.leaseAlerter(ctx, a)
	if err != nil || !ok {
		return err
	}
	end := st.Lease.Add(-2 * deliveryTimeout)
	if due, err = s.stillDue(ctx, a, due); err == nil {
		for i, alert := range s.alerts(open, due, time.Since(st.Funds) >= fundsAgain || time.Since(st.Funds) < 0) {
			if i > 0 && sleep(ctx, a.Apart) != nil {
				break
			}
			if len(st.Sent) >= min(a.PerMinute, maxMessages) || time.Now().After(end) || timeLeft(ctx) < minDeliveryTime+recordTime {
				break // the next run
			}
			if err = s.tellOne(ctx, a, &st, alert); err != nil {
				break
			}
		}
	}
	st.Lease = time.Time{}
	ctx, cancel := settleContext(ctx)
	defer cancel()
	if err := s.Ledger.Commit(ctx, item(alerterKey(a.Name), version, st, time.Time{})); err != nil && !errors.Is(err, ErrStale) {
		return ledgerError(err)
	}
	return err
}

// leaseAlerter makes this run the one that tells an alerter.
func (s *Service) leaseAlerter(ctx context.Context, a Alerter) (st alertState, version int64, ok bool, err error) {
	if err := s.Bind(ctx); err != nil { // again, since a run may be long
		return st, 0, false, err
	}
	key := alerterKey(a.Name)
	items, err := s.Ledger.Get(ctx, key)
	if err != nil {
		return st, 0, false, ledgerError(err)
	}
	_ = decode(items[0], &st) // one that cannot be read is as none
	now := time.Now()
	ahead := func(t time.Time, most time.Duration) bool { return t.After(now) && t.Sub(now) <= most+clockSkew }
	if ahead(st.Lease, alertLease) || ahead(st.Next, maxAlertPause) {
		return st, 0, false, nil
	}
	st.Sent = slices.DeleteFunc(st.Sent, func(t time.Time) bool { return now.Sub(t) >= time.Minute || t.After(now.Add(clockSkew)) })
	st.Lease = now.Add(alertLease)
	switch err := s.Ledger.Commit(ctx, item(key, items[0].Version, st, time.Time{})); {
	case errors.Is(err, ErrStale):
		return st, 0, false, nil // another run is at it
	case err != nil:
		return st, 0, false, ledgerError(err)
	}
	return st, items[0].Version + 1, true, nil
}

// stillDue reads again what was listed: another run may have told of it meanwhile.
func (s *Service) stillDue(ctx context.Context, a Alerter, due []openCause) ([]openCause, error) {
	var items []Item
	codes := map[Key][]string{}
	for _, c := range due {
		if codes[c.key] == nil {
			items = append(items, Item{Key: c.key})
		}
		codes[c.key] = append(codes[c.key], c.Code)
	}
	open, err := s.openCauses(ctx, items)
	return slices.DeleteFunc(open, func(c openCause) bool {
		return !slices.Contains(codes[c.key], c.Code) || !c.cause.dueTo(a.Name, s.now())
	}), err
}

// A message is an alert, and the causes that it tells of.
type message struct {
	Alert
	causes []openCause
}

// alerts makes messages of what is due: one for each alarm, and one for all of a code of
// which there are many. Those about want of funds are always together, and wait unless
// funds is true.
func (s *Service) alerts(open, due []openCause, funds bool) (messages []message) {
	byCode := map[string][]openCause{}
	for _, c := range due {
		byCode[c.Code] = append(byCode[c.Code], c)
	}
	for _, code := range slices.Sorted(maps.Keys(byCode)) {
		all := byCode[code]
		slices.SortFunc(all, func(x, y openCause) int {
			return cmp.Or(x.Since.Compare(y.Since), strings.Compare(x.About, y.About))
		})
		n := 1
		switch {
		case code == alarmFunds && !funds:
			continue
		case code == alarmFunds || len(all) > maxApart:
			n = maxTogether
		}
		more := len(all)
		for chunk := range slices.Chunk(all, n) {
			more -= len(chunk)
			m := message{causes: chunk, Alert: Alert{ID: alertID(chunk), At: s.now(), Merchant: s.Merchant, Open: len(open)}}
			for _, c := range chunk {
				m.Alarms = append(m.Alarms, c.OpenAlarm)
			}
			if n > 1 {
				m.More = more
			}
			if code == alarmFunds {
				all := make([]OpenAlarm, len(open))
				for i, c := range open {
					all[i] = c.OpenAlarm
				}
				m.Waiting = WaitingOf(all)
			}
			messages = append(messages, m)
			if code == alarmFunds {
				break // its sum is of all
			}
		}
	}
	slices.SortStableFunc(messages, func(x, y message) int { return x.Alarms[0].Since.Compare(y.Alarms[0].Since) })
	return messages
}

// alertID names what a message tells.
func alertID(causes []openCause) string {
	h := sha256.New()
	for _, c := range causes {
		h.Write(fmt.Appendf(nil, "%s %s %d %d\n", c.key, c.Code, c.Since.UnixMilli(), c.LoggedAt.UnixMilli()))
	}
	return "alert-" + hex.EncodeToString(h.Sum(nil)[:12])
}

// WaitingOf sums up, by currency, what the merchant's balance is too low for among the
// alarms that are open.
func WaitingOf(open []OpenAlarm) []Waiting {
	var sums []Waiting
	for _, c := range open {
		if c.Code != alarmFunds {
			continue
		}
		i := slices.IndexFunc(sums, func(w Waiting) bool { return w.Currency == c.Currency })
		if i < 0 {
			sums = append(sums, Waiting{Currency: c.Currency})
			i = len(sums) - 1
		}
		sums[i].Refunds++
		sums[i].Amount += c.Amount
	}
	slices.SortFunc(sums, func(x, y Waiting) int { return strings.Compare(x.Currency, y.Currency) })
	return sums
}

// tellOne sends one message, and notes whom it has reached.
func (s *Service) tellOne(ctx context.Context, a Alerter, st *alertState, m message) error {
	st.Sent = append(st.Sent, time.Now())
	err := s.callAlerter(ctx, a, m.Alert)
	crash("alert.told")
	now := time.Now()
	if err != nil {
		if st.Failures++; st.Failures == 1 {
			st.Failing = now
		}
		e := AsError(err)
		st.Next = now.Add(min(max(e.RetryAfter, deliveryBackoff(st.Failures)), maxAlertPause))
		if now.Sub(st.Failing) >= unreachableAfter {
			s.alarmDaily(ctx, alerterKey(a.Name), alarm{code: alarmAlerter, why: "no alarm has reached " + a.Name + " for a day: look at ALERT_URL and ALERT_SECRET"}, "error", err)
		}
		return err
	}
	if st.Failures > 0 && now.Sub(st.Failing) >= unreachableAfter {
		s.endDaily(ctx, alerterKey(a.Name), alarmAlerter)
	}
	st.Failures, st.Failing, st.Next = 0, time.Time{}, time.Time{}
	if m.Alarms[0].Code == alarmFunds {
		st.Funds = now
	}
	s.log(ctx, slog.LevelInfo, "told", m.Alarms[0].OutRefundNo, "to", a.Name, "alarm", m.Alarms[0].Code, "alarms", len(m.Alarms))
	ctx, cancel := settleContext(ctx)
	defer cancel()
	for _, c := range m.causes {
		s.markTold(ctx, c, a.Name)
	}
	return nil
}

// callAlerter calls the alerter, with a bound, and survives it.
func (s *Service) callAlerter(ctx context.Context, a Alerter, alert Alert) (err error) {
	end := time.Now().Add(deliveryTimeout)
	if d, ok := ctx.Deadline(); ok && d.Add(-recordTime).Before(end) {
		end = d.Add(-recordTime)
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			s.log(ctx, slog.LevelError, "panic", "", "to", a.Name, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = errors.New("the alerter panicked")
		}
	}()
	return a.Tell(ctx, alert)
}

// markTold notes that an alarm has reached an alerter. If that fails, it is told again.
func (s *Service) markTold(ctx context.Context, told openCause, to string) {
	mark := func(c *Cause, now time.Time) bool {
		if c.Code != told.Code || !c.Since.Equal(told.Since) || !c.open() {
			return false // it has ended meanwhile, or somebody has acknowledged it
		}
		c.Told = slices.DeleteFunc(c.Told, func(t Telling) bool { return t.To == to })
		for len(c.Told) >= maxTellings {
			i := slices.IndexFunc(c.Told, func(t Telling) bool { return !s.hasAlerter(t.To) })
			c.Told = slices.Delete(c.Told, max(i, 0), max(i, 0)+1)
		}
		c.Told = append(c.Told, Telling{To: to, At: now})
		return true
	}
	if no, isRefund := (Item{Key: told.key}).RefundNo(); isRefund {
		s.amend(ctx, no, func(tx *txn, now time.Time) {
			for i := range tx.rec.Causes {
				mark(&tx.rec.Causes[i], now)
			}
		})
		return
	}
	err := s.updateAlarm(ctx, told.Code, Key(told.About), func(a *alarmItem, now time.Time) error {
		if !mark(&a.Cause, now) {
			return errUnchanged
		}
		return nil
	})
	if err != nil {
		s.log(ctx, slog.LevelWarn, "not noted", told.About, "error", err)
	}
}

func (s *Service) hasAlerter(name string) bool {
	return slices.ContainsFunc(s.Alerters, func(a Alerter) bool { return a.Name == name })
}
