package world

import "sync"

// A broadcaster tells all who wait that something has changed. It does not count: who
// was busy during several changes learns of them once.
type broadcaster struct {
	mu      sync.Mutex
	waiting chan struct{} // nil while nobody waits
}

// next returns what is closed by the next broadcast.
func (b *broadcaster) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		b.waiting = make(chan struct{})
	}
	return b.waiting
}

func (b *broadcaster) broadcast() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting != nil {
		close(b.waiting)
		b.waiting = nil
	}
}
