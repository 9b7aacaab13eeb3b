package world

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxExchanges bounds how many exchanges are kept, the newest: some 1,500 refunds with
	// their calls, notifications and queries, more than anybody looks through.
	maxExchanges = 5000

	// maxJournal bounds what they take up, in bytes. At the usual 3 KB an exchange it is
	// not reached; bodies at their bound would fill memory otherwise.
	maxJournal = 32 << 20

	// maxRecorded bounds what is kept of one body, in bytes. What is longer is refused
	// by most doors, and nobody reads it.
	maxRecorded = 64 << 10

	// maxAbout bounds how many refunds one exchange is known to be about: more than an
	// order can have.
	maxAbout = 64
)

// The kinds of exchanges.
const (
	ExchangeCall         = "call"         // WeChat's side was called
	ExchangeNotification = "notification" // WeChat's side has sent a notification
	ExchangeFunction     = "function"     // a function of the merchant's side was called
)

// An Exchange is a request and its answer as they went over the wire, but for secrets.
type Exchange struct {
	ID       string    // given by the journal
	At       time.Time // virtual, when it began
	Kind     string
	Method   string
	Path     string        // with the query
	Status   int           // 0: nothing was answered
	About    []string      // the refunds that it is about, by the merchant's numbers
	Refused  bool          // the answer says no, or a notification was not acknowledged
	Rightly  bool          // a notification that was not to be believed was refused
	Name     string        // what a call of CloudBase's gateway carries: the function or the API that it calls
	Code     string        // the error code of the answer, in the words of whoever answered
	Fault    string        // that it was made to suffer
	Latency  time.Duration // real
	Request  Message
	Response Message
	Checks   []Check // in the order in which they were made
	OpenID   string  // of the user in whose name a function was called
	Source   string  // the chain by which he came

	number int
}

// A Message is one half of an exchange.
type Message struct {
	Headers [][2]string // names and values, sorted; Host first
	Body    string      // at most 64 KiB; what is not UTF-8 is replaced
	Cut     bool        // it was longer
	Opened  string      // what was sealed or wrapped in it; empty: nothing, or it could not be opened
}

// A Check is one thing that was looked at, and what was found.
type Check struct {
	What   string `json:"what"` // signature, timestamp, serial, certificate, token, body, ...
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// about tells whether an exchange has to do with a refund, of which either number of
// WeChat Pay's side may be empty. Those that name no refund are judged by the order.
func (x *Exchange) about(number, refundID, outTradeNo, transactionID string) bool {
	if slices.Contains(x.About, number) || refundID != "" && slices.Contains(x.About, refundID) {
		return true
	}
	if len(x.About) > 0 {
		return false
	}
	for _, name := range []string{refundID, outTradeNo, transactionID} {
		if name != "" && (strings.Contains(x.Path, name) || names(x.Request.Body, name) || names(x.Request.Opened, name)) {
			return true
		}
	}
	return false
}

// names tells whether a number stands by itself in a JSON or an XML text.
func names(text, number string) bool {
	return strings.Contains(text, `"`+number+`"`) || strings.Contains(text, ">"+number+"<") || strings.Contains(text, "["+number+"]")
}

// size is about what an exchange takes up.
func (x *Exchange) size() int {
	n := len(x.Path) + len(x.Name)
	for _, m := range []Message{x.Request, x.Response} {
		n += len(m.Body) + len(m.Opened)
		for _, h := range m.Headers {
			n += len(h[0]) + len(h[1]) + 32
		}
	}
	for _, c := range x.Checks {
		n += len(c.What) + len(c.Detail) + 48
	}
	return n + 512
}

// A journal keeps the newest exchanges.
type journal struct {
	mu       sync.Mutex
	numbers  int // given out
	recorded int // kept at some time
	bytes    int
	kept     []*Exchange     // by number; they do not change any more
	sending  map[string]bool // the Request-IDs of notifications that are being sent
}

// number gives out the next one, so that exchanges stand in the order in which they began.
func (j *journal) number() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.numbers++
	return j.numbers
}

func (j *journal) keep(x *Exchange) {
	j.mu.Lock()
	defer j.mu.Unlock()
	at, _ := slices.BinarySearchFunc(j.kept, x.number, func(k *Exchange, number int) int { return cmp.Compare(k.number, number) })
	j.kept = slices.Insert(j.kept, at, x)
	j.recorded++
	j.bytes += x.size()
	for len(j.kept) > maxExchanges || j.bytes > maxJournal {
		j.bytes -= j.kept[0].size()
		j.kept[0] = nil
		j.kept = j.kept[1:]
	}
}

// Exchanges returns those that have to do with a refund, by the merchant's number, or all
// if that is empty: the oldest first. What it returns must not be changed.
func (w *World) Exchanges(outRefundNo string) []*Exchange {
	r, _ := w.Refund(outRefundNo) // the zero value if it was refused
	w.journal.mu.Lock()
	kept := slices.Clone(w.journal.kept)
	w.journal.mu.Unlock()
	if outRefundNo == "" {
		return kept
	}
	return slices.DeleteFunc(kept, func(x *Exchange) bool { return !x.about(outRefundNo, r.RefundID, r.OutTradeNo, r.TransactionID) })
}

// Exchange returns one that is still kept. It must not be changed.
func (w *World) Exchange(id string) (*Exchange, bool) {
	digits, ok := strings.CutPrefix(id, "x")
	number, err := strconv.Atoi(digits)
	if !ok || err != nil || exchangeID(number) != id {
		return nil, false
	}
	w.journal.mu.Lock()
	defer w.journal.mu.Unlock()
	at, ok := slices.BinarySearchFunc(w.journal.kept, number, func(x *Exchange, n int) int { return cmp.Compare(x.number, n) })
	if !ok {
		return nil, false
	}
	return w.journal.kept[at], true
}

func exchangeID(number int) string { return fmt.Sprintf("x%d", number) }

// ExchangeCount is how many exchanges there have been, those that are no longer kept too.
func (w *World) ExchangeCount() int {
	w.journal.mu.Lock()
	defer w.journal.mu.Unlock()
	return w.journal.recorded
}

// Sending tells whether a request is a notification of WeChat's side that is on its way,
// by its Request-ID: that is in the journal as one already.
func (w *World) Sending(requestID string) bool {
	w.journal.mu.Lock()
	defer w.journal.mu.Unlock()
	return w.journal.sending[requestID]
}

func (j *journal) setSending(requestID string, on bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !on {
		delete(j.sending, requestID)
		return
	}
	if j.sending == nil {
		j.sending = map[string]bool{}
	}
	j.sending[requestID] = true
}
