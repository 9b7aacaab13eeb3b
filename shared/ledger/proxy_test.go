//go:build heavy

package ledger

import (
	"net"
	"net/url"
	"regexp"
	"sync"
	"testing"
)

// A proxy stands between a ledger and its server, and fails in the way that a
// test asks for.
type proxy struct {
	listener net.Listener
	server   string

	mu    sync.Mutex
	rules []rule
	conns []net.Conn
}

// A rule is carried out once, at the first message of the client's that matches.
type rule struct {
	text string // a regular expression, which takes no notice of case
	what fault
	then func() // done before the connection is cut after an answer; nil: nothing
}

// A commit is one message, and so is a read.
const (
	atCommit = `wxrefund_commit\(|insert into wxrefund_items`
	atSelect = `select item_key`
)

type fault int

const (
	cutBefore fault = iota // the message does not reach the server
	cutAfter               // it does, but the answer does not reach the client
	hang                   // it does not, and nothing is answered
)

// newProxy returns a proxy and the URL that goes through it.
func newProxy(t *testing.T, address string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: u.Host}
	p.listener, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := p.listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", p.server)
			if err != nil {
				client.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, client, server)
			p.mu.Unlock()
			silent := make(chan func(), 1)
			wg.Go(func() { p.up(client, server, silent) })
			wg.Go(func() { p.down(client, server, silent) })
		}
	})
	t.Cleanup(func() {
		p.listener.Close()
		p.cut()
		wg.Wait()
	})
	u.Host = p.listener.Addr().String()
	return p, u.String()
}

// fail arms a rule.
func (p *proxy) fail(text string, what fault) { p.failThen(text, what, nil) }

// failThen arms a rule with something to be done before the connection is cut after an answer.
func (p *proxy) failThen(text string, what fault, then func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, rule{text, what, then})
}

// pending returns how many rules have not been carried out.
func (p *proxy) pending() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.rules)
}

// cut cuts all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// apply returns the rule that a message meets; one of fault -1: none.
func (p *proxy) apply(message []byte) rule {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, r := range p.rules {
		if regexp.MustCompile("(?i)" + r.text).Match(message) {
			p.rules = append(p.rules[:i], p.rules[i+1:]...)
			return r
		}
	}
	return rule{what: -1}
}

// up carries what the client says to the server.
func (p *proxy) up(client, server net.Conn, silent chan<- func()) {
	defer client.Close()
	buffer := make([]byte, 1<<20)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			server.Close()
			return
		}
		switch r := p.apply(buffer[:n]); r.what {
		case cutBefore:
			server.Close()
			return
		case hang:
			continue
		case cutAfter:
			silent <- r.then // down waits for the answer, drops it and cuts both
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// down carries what the server says to the client.
func (p *proxy) down(client, server net.Conn, silent <-chan func()) {
	defer client.Close()
	defer server.Close()
	buffer := make([]byte, 1<<20)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return
		}
		select {
		case then := <-silent:
			if then != nil {
				then()
			}
			return
		default:
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}
