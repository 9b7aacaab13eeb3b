package model

import "fmt"

// where a process is.
const (
	idle int8 = iota
	toClaim
	toSend
	toSettle // a reply is in its hands
	toQuery
	toJudge // the answer to its question is in its hands
	toAnswer
)

// A process is one run of a function, about one number.
type process struct {
	at   int8
	n    int8
	says Status
	old  bool // the record has moved since it looked
}

const timer = 2 // the third process; the others are dispatchers

// A state is everything there is. It can be compared.
type state struct {
	books    [2]Book
	upstream [2]Status
	told     [2]uint8 // notifications that were written, by status
	late     [2]bool  // a request that may arrive at any time
	all      [3]process
	current  int8 // the number under which the client asks now
	left     Bounds
}

// Bounds are how much of each may happen.
type Bounds struct{ Calls, Crashes, Faults, Refusals int8 }

func (b Bounds) String() string {
	return fmt.Sprintf("%d client calls, %d crashes, %d faults of the wire, %d refusals", b.Calls, b.Crashes, b.Faults, b.Refusals)
}

// An event is what leads from one state to the next.
type event struct {
	what  string
	who   int8
	n     int8
	says  Status
	helps bool // it needs no client and no misfortune: left alone, it happens
}

func (e event) String() string {
	who := [...]string{"a dispatcher", "a dispatcher", "timer", "client", "WeChat Pay"}[e.who]
	if e.says == None {
		return fmt.Sprintf("%s: %s R%d", who, e.what, e.n+1)
	}
	return fmt.Sprintf("%s: %s R%d, %s", who, e.what, e.n+1, e.says)
}

const client, wechat = 3, 4

// tidy gives states that differ by their dispatchers' names one name.
func (s state) tidy() state {
	a, b := s.all[0], s.all[1]
	if a.at > b.at || a.at == b.at && (a.n > b.n || a.n == b.n && (a.says > b.says || a.says == b.says && a.old && !b.old)) {
		s.all[0], s.all[1] = b, a
	}
	return s
}

// put writes a book. Whoever has looked at it before has an old one then.
func (s *state) put(n int8, b Book) {
	b.Open = min(b.Open, 4)
	moved := s.books[n].Status != b.Status
	s.books[n] = b
	for i := range s.all {
		if p := &s.all[i]; moved && p.at != idle && p.at != toClaim && p.at != toAnswer && p.n == n {
			p.old = true
		}
	}
}

// submitted takes it out of everybody's hands that nothing is under way.
func (m *Model) submitted(s *state, n int8) {
	for i := range s.all {
		if p := &s.all[i]; p.n == n && p.says == Quiet && !m.other.ReleasedBlind {
			p.says = Absent
		}
	}
}

// quiet reports whether nothing of a number is on its way, or about to be.
func (s *state) quiet(n int8) bool {
	for _, p := range s.all {
		if p.n == n && p.at == toSend {
			return false
		}
	}
	return !s.late[n]
}

// arrive is what WeChat Pay may do with a request.
func (s state) arrive(n int8, each func(state, Status)) {
	if s.upstream[n] != None {
		each(s, s.upstream[n])
		return
	}
	taken := s
	taken.upstream[n] = Processing
	each(taken, Processing)
	if s.left.Refusals > 0 {
		s.left.Refusals--
		each(s, Refused)
	}
}

// next tells every state that may follow.
func (m *Model) next(s state, each func(event, state)) {
	add := func(e event, t state) { each(e, t.tidy()) }
	if s.left.Calls > 0 {
		for i := range s.all[:timer] {
			if s.all[i].at == idle {
				t := s
				t.left.Calls--
				t.all[i] = process{at: toClaim, n: s.current}
				add(event{"asks for", client, s.current, None, false}, t)
				break
			}
		}
	}
	for i := range int8(len(s.all)) {
		p := s.all[i]
		if p.at != idle && s.left.Crashes > 0 {
			t := s
			t.left.Crashes--
			t.all[i] = process{}
			add(event{"dies over", i, p.n, None, false}, t)
		}
		m.step(s, i, add)
	}
	for n := range int8(2) {
		m.world(s, n, add)
	}
}

// step is what one process may do next.
func (m *Model) step(s state, i int8, add func(event, state)) {
	p := s.all[i]
	n := p.n
	t := s
	switch p.at {
	case idle:
		if i == timer && !m.other.NeverAsks {
			for n := range int8(2) {
				if b := s.books[n]; b.Status == Claimed || b.Status == Processing || b.Status == Abnormal {
					t := s
					t.all[i] = process{at: toQuery, n: n}
					add(event{"takes up", i, n, None, true}, t)
				}
			}
		}
	case toClaim:
		book, submits := m.Claim(s.books[n])
		switch {
		case submits && s.books[n].Status != Claimed && s.books[1-n].holds() && !m.other.NewNumberEarly:
			t.all[i] = process{}
			add(event{"is refused, for what the other number holds,", i, n, None, true}, t)
		case submits:
			if !m.other.RowAfterCall {
				t.put(n, book)
			}
			m.submitted(&t, n)
			t.all[i] = process{at: toSend, n: n}
			add(event{"claims", i, n, None, true}, t)
		default:
			t.all[i] = process{at: toAnswer, n: n, says: book.Status}
			add(event{"finds", i, n, book.Status, true}, t)
		}
	case toSend:
		m.send(s, i, add)
	case toSettle:
		t.all[i] = process{}
		if m.other.RowAfterCall && s.books[n].Status == None && p.says != Unknown && p.says != Unsent {
			t.put(n, Book{Claimed, 1})
			p.old = false
		}
		t.put(n, m.Settle(t.books[n], Word{Says: p.says, Old: p.old}))
		if i != timer {
			t.all[i] = process{at: toAnswer, n: n, says: t.books[n].Status}
		}
		add(event{"records the reply about", i, n, t.books[n].Status, true}, t)
	case toAnswer:
		t.all[i] = process{}
		no := p.says == Rejected || p.says == Closed || m.other.NewNumberEarly && p.says == Claimed
		if no && s.current == n && n == 0 { // and may as well repeat it
			t := t
			t.current = 1
			add(event{"hears a no, and takes another number than", client, n, p.says, true}, t)
		}
		add(event{"hears of", client, n, p.says, true}, t)
	case toQuery:
		says := s.upstream[n]
		if says == None {
			if says = Absent; s.quiet(n) {
				says = Quiet
			}
		}
		t.all[i] = process{toJudge, n, says, p.old}
		add(event{"asks about", i, n, says, true}, t)
	case toJudge:
		m.judge(s, add)
	}
}

// judge is what the timer does with the answer to its question.
func (m *Model) judge(s state, add func(event, state)) {
	p := s.all[timer]
	n := p.n
	done := s
	done.all[timer] = process{}
	if p.says != Absent && p.says != Quiet {
		done.put(n, m.Settle(done.books[n], Word{Says: p.says, Old: p.old}))
		add(event{"records the answer about", timer, n, done.books[n].Status, true}, done)
		return
	}
	add(event{"lets be", timer, n, None, true}, done)
	if p.old && !m.other.ReleasedBlind || s.books[n].Status != Claimed {
		return
	}
	again := s
	again.put(n, Book{Claimed, s.books[n].Open + 1})
	again.all[timer] = process{at: toSend, n: n}
	add(event{"will send again", timer, n, None, true}, again)
	if b := m.Release(s.books[n], p.says); b != s.books[n] {
		done.put(n, b)
		add(event{"gives up", timer, n, None, true}, done)
	}
}

// send is what may become of a request.
func (m *Model) send(s state, i int8, add func(event, state)) {
	p := s.all[i]
	n := p.n
	with := func(t state, says Status) state {
		t.all[i] = process{toSettle, n, says, p.old}
		return t
	}
	s.arrive(n, func(t state, says Status) {
		add(event{"sends", i, n, says, true}, with(t, says))
		if s.left.Faults > 0 {
			t.left.Faults--
			add(event{"sends, and hears no answer about", i, n, says, false}, with(t, Unknown))
		}
	})
	if s.left.Faults == 0 {
		return
	}
	t := s
	t.left.Faults--
	add(event{"sends, and it is lost,", i, n, Unknown, false}, with(t, Unknown))
	add(event{"has no connection for", i, n, Unsent, false}, with(t, Unsent))
	t.late[n] = true
	add(event{"sends, and it is late,", i, n, Unknown, false}, with(t, Unknown))
}

// world is what happens to a number outside of our processes.
func (m *Model) world(s state, n int8, add func(event, state)) {
	if s.late[n] {
		s.arrive(n, func(t state, says Status) {
			t.late[n] = false
			add(event{"is reached late by", wechat, n, says, true}, t)
		})
	}
	ends := func(what string, all ...Status) {
		for _, end := range all {
			t := s
			t.upstream[n] = end
			if end != Processing {
				t.told[n] |= 1 << end
			}
			add(event{what, wechat, n, end, true}, t)
		}
	}
	switch s.upstream[n] {
	case Processing:
		ends("comes to an end with", Success, Closed, Abnormal)
	case Abnormal:
		ends("has the merchant take up", Processing, Success, Closed)
	}
	for word := Processing; word <= Abnormal; word++ {
		// That a refund exists is in a bill, which is as late as a notification.
		if s.told[n]&(1<<word) == 0 && (word != Processing || s.upstream[n] == None) {
			continue
		}
		if b := m.Settle(s.books[n], Word{Says: word, Letter: true}); b != s.books[n] {
			t := s
			t.put(n, b)
			add(event{"is heard, by letter or bill, about", wechat, n, word, true}, t)
		}
	}
	if b := s.books[n]; m.other.Expires && (b.Status == Claimed || b.Status == Processing) {
		t := s
		t.put(n, Book{Status: Rejected})
		add(event{"has expired for", timer, n, None, true}, t)
	}
}
