package ledger

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"wxrefund/shared/refund"
)

// A tripRelay stands between a ledger and its server, and counts how often the one waits for
// the other: what the client says after the server has spoken is a new round trip.
type tripRelay struct {
	listener net.Listener
	server   string

	mu    sync.Mutex
	trips int
	conns []net.Conn
}

// relayed returns the URL of a ledger that goes through a tripRelay.
func relayed(t *testing.T, address string) (*tripRelay, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := u
	if of := u.Query().Get("endpoint"); of != "" {
		if endpoint, err = url.Parse(of); err != nil {
			t.Fatal(err)
		}
	}
	r := &tripRelay{server: endpoint.Host}
	if r.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := r.listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", r.server)
			if err != nil {
				client.Close()
				continue
			}
			r.mu.Lock()
			r.conns = append(r.conns, client, server)
			r.mu.Unlock()
			answered := true
			wg.Go(func() { r.carry(client, server, func() { answered, r.trips = false, r.trips+one(answered) }) })
			wg.Go(func() { r.carry(server, client, func() { answered = true }) })
		}
	})
	t.Cleanup(func() {
		r.listener.Close()
		r.mu.Lock()
		for _, c := range r.conns {
			c.Close()
		}
		r.mu.Unlock()
		wg.Wait()
	})
	return r, strings.Replace(address, r.server, r.listener.Addr().String(), 1)
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// carry carries what one side says to the other.
func (r *tripRelay) carry(from, to net.Conn, said func()) {
	defer to.Close()
	buffer := make([]byte, 1<<20)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		r.mu.Lock()
		said()
		r.mu.Unlock()
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// count returns how many round trips do takes.
func (r *tripRelay) count(do func()) int {
	r.mu.Lock()
	before := r.trips
	r.mu.Unlock()
	do()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trips - before
}

// A tripsUpstream accepts every refund.
type tripsUpstream struct{ refund.Channel }

func (tripsUpstream) Spec() refund.Spec {
	return refund.Spec{
		Name: "test", OutRefundNo: refund.Length{Min: 1, Max: 64}, OutTradeNo: refund.Length{Min: 1, Max: 32},
		TransactionID: refund.Length{Min: 1, Max: 32}, Currencies: []string{"CNY"}, Rate: 150, BadRate: 6,
	}
}

func (tripsUpstream) Refund(_ context.Context, req refund.Request) (refund.Refund, error) {
	return refundOf(req.OutRefundNo, req.OutTradeNo, refund.StatusProcessing), nil
}

func (tripsUpstream) Query(_ context.Context, l refund.Lookup) (refund.Page, error) {
	return refund.Page{Refunds: []refund.Refund{refundOf(l.OutRefundNo, "O"+l.OutRefundNo[1:], refund.StatusProcessing)}}, nil
}

func refundOf(no, order string, status refund.Status) refund.Refund {
	r := refund.Refund{
		RefundID: "5000" + no, OutRefundNo: no, TransactionID: "T" + order, OutTradeNo: order, Status: status, Channel: "ORIGINAL",
		Amount: refund.Amount{Total: 100, Refund: 10, Currency: "CNY"},
	}
	if status == refund.StatusSuccess {
		r.SuccessTime = "2026-11-22T10:05:00+08:00"
	}
	return r
}

// How far each call of the service goes, on the wire: a way to the server and back for
// each of what it asks, which stands in refund's table of calls. A read is one everywhere, and so
// is a commit.
func TestRoundTripsOfEachCall(t *testing.T) {
	for _, b := range backends() {
		if b.scheme == "sqlite" {
			continue // there is no wire
		}
		t.Run(b.name, func(t *testing.T) {
			r, address := relayed(t, b.fresh(t))
			merchant := refund.Merchant{MchID: "1900000109"}
			s := &refund.Service{Channel: tripsUpstream{}, Ledger: open(t, address), Merchant: merchant, Pace: -1}
			server := refund.Caller{Kind: refund.Server}
			refundIt := func(no, order string) func() {
				return func() {
					req := refund.Request{OutRefundNo: no, OutTradeNo: order, Amount: refund.RequestAmount{Refund: 10, Total: 100, Currency: "CNY"}}
					if _, err := s.Refund(t.Context(), server, req); err != nil {
						t.Errorf("%s: %v", no, err)
					}
				}
			}
			query := func(no string) func() {
				return func() {
					if _, err := s.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: no}); err != nil {
						t.Errorf("%s: %v", no, err)
					}
				}
			}
			notify := func(no, order string) func() {
				return func() {
					out := refund.Outcome{Source: refund.Notification, OutRefundNo: no, Merchant: merchant, EventID: "E" + no, Refund: refundOf(no, order, refund.StatusSuccess)}
					if _, err := s.SettleAndDeliver(t.Context(), out); err != nil {
						t.Errorf("%s: %v", no, err)
					}
				}
			}
			for i := range 4 { // each statement has been sent before, and is known to both sides
				no, order := fmt.Sprintf("R9%d", i), fmt.Sprintf("O9%d", i)
				refundIt(no, order)()
				query(no)()
				notify(no, order)()
			}
			for _, c := range []struct {
				name string
				most int
				call func()
			}{
				{"the first refund of an order", 3, refundIt("R1", "O1")},
				{"the next one", 3, refundIt("R2", "O1")},
				{"a repeat", 1, refundIt("R1", "O1")},
				{"a query of an open refund", 2, query("R1")},
				{"a notification", 2, notify("R1", "O1")},
				{"a query of a settled refund", 1, query("R1")},
				{"a notification of which a subscriber is told", 3, func() {
					s.Subscribers = []refund.Subscriber{{Name: "shop", Tell: func(context.Context, refund.Event) error { return nil }}}
					notify("R2", "O1")()
				}},
			} {
				got := r.count(c.call)
				if got > c.most {
					t.Errorf("%s: %d round trips, at most %d", c.name, got, c.most)
				}
				t.Logf("%s: %d round trips", c.name, got)
			}
		})
	}
}
