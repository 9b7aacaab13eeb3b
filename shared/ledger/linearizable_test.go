package ledger

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"wxrefund/shared/refund"
)

// registers are the items of a history.
const registers = 4

// A register is one item as far as the histories go.
type register struct {
	version int64
	body    string
}

// An access is one call of Get or Commit, and what came of it.
type access struct {
	write   bool
	items   [registers]register // to be written over these versions
	picked  [registers]bool
	got     [registers]register // what was read
	stale   bool
	unknown bool // no answer: it may have been carried out, or will be
}

// registersModel says what a ledger may answer: as if each call had taken effect at one
// instant between its beginning and its end. What got no answer has no end. If it was never
// carried out, it stands where it changes nothing: at the very end.
func registersModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return [registers]register{} },
		Step: func(state, input, _ any) (bool, any) {
			now, a := state.([registers]register), input.(*access)
			match := true
			for i, picked := range a.picked {
				switch {
				case !picked:
				case a.write:
					match = match && now[i].version == a.items[i].version
				case now[i] != a.got[i]:
					return false, state
				}
			}
			if !a.write {
				return true, state
			}
			if match && !a.stale {
				for i, picked := range a.picked {
					if picked {
						now[i] = register{a.items[i].version + 1, a.items[i].body}
					}
				}
			}
			return a.unknown || match != a.stale, now
		},
		Equal: func(a, b any) bool { return a == b },
		DescribeOperation: func(input, _ any) string {
			a := input.(*access)
			return fmt.Sprintf("%+v", *a)
		},
	}
}

// Accesses are what clients have done with a ledger at once.
type accesses struct {
	mu   sync.Mutex
	all  []porcupine.Operation
	open int // that got no answer
}

func (h *accesses) add(client int, a *access, begun, ended time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	end := ended.Nanoseconds()
	if a.unknown {
		end = math.MaxInt64
		h.open++
	}
	h.all = append(h.all, porcupine.Operation{ClientId: client, Input: a, Call: begun.Nanoseconds(), Return: end})
}

// live has clients read and write at once, over what each has read last. Contexts end in
// the middle of calls.
func (h *accesses) live(seed uint64, prefix string, clients, calls int, ledgers ...refund.Ledger) {
	begun := time.Now()
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(client)))
			ledger := ledgers[client%len(ledgers)]
			var seen [registers]register
			for call := range calls {
				a := &access{write: r.IntN(2) == 0}
				var keys []refund.Key
				var items []refund.Item
				for _, i := range r.Perm(registers)[:1+r.IntN(3)] {
					a.picked[i] = true
					a.items[i] = register{seen[i].version, fmt.Sprintf("%d.%d", client, call)}
					keys = append(keys, refund.Key(fmt.Sprintf("%s/%d", prefix, i)))
					items = append(items, refund.Item{Key: keys[len(keys)-1], Version: a.items[i].version, Body: []byte(a.items[i].body)})
				}
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				if r.IntN(8) == 0 {
					time.AfterFunc(time.Duration(r.Int64N(int64(3*time.Millisecond))), cancel)
				}
				from := time.Since(begun)
				if a.write {
					err := ledger.Commit(ctx, items...)
					a.stale = errors.Is(err, refund.ErrStale)
					a.unknown = err != nil && !a.stale || err == nil && r.IntN(20) == 0 // the answer gets lost
				} else {
					got, err := ledger.Get(ctx, keys...)
					if cancel(); err != nil {
						continue
					}
					for n, it := range got {
						i := int(keys[n][len(keys[n])-1] - '0')
						a.got[i] = register{it.Version, string(it.Body)}
						seen[i] = a.got[i]
					}
				}
				to := time.Since(begun)
				cancel()
				if a.write && !a.stale && !a.unknown {
					for i, picked := range a.picked {
						if picked {
							seen[i] = register{a.items[i].version + 1, a.items[i].body}
						}
					}
				}
				h.add(client, a, from, to)
			}
		})
	}
	wg.Wait()
}

// Whatever many clients read and commit at once, while connections break and contexts end,
// there is an order of all of it in which each call took effect at one instant.
func TestHistoriesAreLinearizable(t *testing.T) {
	over(t, func(backend) bool { return true }, func(t *testing.T, b backend, url string) {
		through, cuts := cutting(t, url, b.env != "")
		ledgers := []refund.Ledger{open(t, through)}
		if !b.private {
			ledgers = append(ledgers, open(t, through))
		}
		get(t, ledgers[0], "warm") // connections are broken from here on
		cuts(true)
		histories, calls, unknown := b.times(12), 0, 0
		if heavyConformance() != nil {
			histories *= 5
		}
		for n := range histories {
			h := &accesses{}
			h.live(uint64(n), fmt.Sprint(n), 5, 12, ledgers...)
			switch porcupine.CheckOperationsTimeout(registersModel(), h.all, time.Minute) {
			case porcupine.Illegal:
				t.Errorf("history %d is not linearizable:\n%s", n, h)
			case porcupine.Unknown:
				t.Errorf("history %d: %d calls, %d of them without an answer, are too many to judge", n, len(h.all), h.open)
			}
			calls, unknown = calls+len(h.all), unknown+h.open
		}
		cuts(false)
		t.Logf("%d histories, %d calls, %d commits without an answer: linearizable", histories, calls, unknown)
		if unknown == 0 {
			t.Error("every commit has had an answer: nothing was injected")
		}
	})
}

// A ledger that now and then answers with what was true a moment ago is found out.
func TestAnOldAnswerIsNotLinearizable(t *testing.T) {
	t.Parallel()
	l := &forgetful{Ledger: open(t, "sqlite::memory:")}
	for n := range 50 {
		h := &accesses{}
		h.live(uint64(n), fmt.Sprint(n), 5, 12, l)
		if porcupine.CheckOperationsTimeout(registersModel(), h.all, time.Minute) == porcupine.Illegal {
			return
		}
	}
	t.Error("50 histories with old answers are linearizable")
}

// A forgetful ledger repeats an answer that it has given.
type forgetful struct {
	refund.Ledger
	mu     sync.Mutex
	before map[string][]refund.Item
	calls  int
}

func (f *forgetful) Get(ctx context.Context, keys ...refund.Key) ([]refund.Item, error) {
	got, err := f.Ledger.Get(ctx, keys...)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.before == nil {
		f.before = map[string][]refund.Item{}
	}
	f.calls++
	name := fmt.Sprint(keys)
	if old := f.before[name]; old != nil && f.calls%5 == 0 {
		return old, nil
	}
	if err == nil {
		f.before[name] = got
	}
	return got, err
}

func (h *accesses) String() (out string) {
	for _, op := range h.all {
		out += fmt.Sprintf("%d %d-%d %+v\n", op.ClientId, op.Call, op.Return, *op.Input.(*access))
	}
	return out
}

// cutting returns the URL of a ledger by way of a relay that breaks connections, before and
// after a request has passed, and how that begins and ends. What is no server's is returned
// as it is.
func cutting(t *testing.T, url string, server bool) (through string, cuts func(bool)) {
	t.Helper()
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`)
	if !server || !address.MatchString(url) {
		return url, func(bool) {}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{server: address.FindString(url), random: rand.New(rand.NewPCG(1, 2)), conns: map[net.Conn]bool{}}
	r.wg.Go(func() { r.serve(listener) })
	t.Cleanup(func() {
		listener.Close()
		r.close()
		r.wg.Wait()
	})
	return address.ReplaceAllString(url, listener.Addr().String()), r.cut
}

// A relay passes bytes on, and now and then breaks the connection instead.
type relay struct {
	server string
	wg     sync.WaitGroup

	mu     sync.Mutex
	random *rand.Rand
	cuts   bool
	closed bool
	conns  map[net.Conn]bool
}

func (r *relay) cut(cuts bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cuts = cuts
}

// breaks reports whether it does so now.
func (r *relay) breaks() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cuts && r.random.IntN(60) == 0
}

func (r *relay) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for c := range r.conns {
		c.Close()
	}
}

func (r *relay) serve(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.server)
		if err != nil {
			client.Close()
			continue
		}
		r.mu.Lock()
		r.conns[client], r.conns[server] = true, true
		if r.closed {
			client.Close()
			server.Close()
		}
		r.mu.Unlock()
		r.wg.Go(func() { r.pass(client, server) })
		r.wg.Go(func() { r.pass(server, client) })
	}
}

func (r *relay) pass(from, to net.Conn) {
	defer func() {
		from.Close()
		to.Close()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.conns, from)
		delete(r.conns, to)
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil || r.breaks() {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
