package process

import (
	"net"
	"sync"
	"testing"
	"time"
)

// startLine makes a way to a server on which a round trip takes so long, until the test
// ends, and returns the address at its near end. To connect takes one, too.
func startLine(t testing.TB, server string, roundTrip time.Duration) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		ends    []net.Conn
		closed  bool
	)
	// hold keeps an end to close it with the line.
	hold := func(c net.Conn) {
		mu.Lock()
		defer mu.Unlock()
		if ends = append(ends, c); closed {
			c.Close()
		}
	}
	connect := func(near net.Conn) {
		hold(near)
		far, err := net.Dial("tcp", server)
		if err != nil {
			near.Close()
			return
		}
		hold(far)
		time.Sleep(roundTrip)
		running.Go(func() { carry(near, far, roundTrip/2) })
		carry(far, near, roundTrip/2)
	}
	running.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { connect(near) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		closed = true
		for _, c := range ends {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return l.Addr().String()
}

// carry brings what comes from one end to the other, each byte so much later.
func carry(from, to net.Conn, later time.Duration) {
	type piece struct {
		due time.Time
		b   []byte
	}
	way := make(chan piece, 1024)
	go func() {
		defer close(way)
		for {
			b := make([]byte, 64<<10)
			n, err := from.Read(b)
			if n > 0 {
				way <- piece{time.Now().Add(later), b[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range way {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.b); err != nil {
			break
		}
	}
	time.Sleep(later)
	to.Close() // whoever has nothing more to say hears nothing more here
	from.Close()
	for range way { // the reader ends, too
	}
}
