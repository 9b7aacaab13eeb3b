package sandbox

import "sync"

// A bell tells all who listen that something has changed. It does not count: who
// was busy while it rang several times hears it once.
type bell struct {
	mu   sync.Mutex
	next chan struct{}
}

// heard returns what is closed when the bell rings next.
func (b *bell) heard() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}

// OursChanged tells those who watch the console that our side's records have
// changed. It may be called at any time and does not block.
func (s *Sandbox) OursChanged() { s.bell.ring() }
