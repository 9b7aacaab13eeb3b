//go:build scf || !slim

package host

import (
	"bufio"
	"encoding/gob"
	"io"
	"reflect"
	"sync"

	"github.com/tencentyun/scf-go-lib/cloudfunction/messages"
)

// SCF calls two methods by net/rpc. That package's server, which the library starts, finds methods by
// their names, so that the linker has to keep every exported method of every type that
// there is, of drivers above all; and it brings a page of HTML with it, whose template
// every start compiles. Here are its messages, each a gob, without either.

// A callHead precedes what a method is called with, as net/rpc's Request.
type callHead struct {
	ServiceMethod string
	Seq           uint64
}

// A replyHead precedes what a method returns, as net/rpc's Response.
type replyHead struct {
	ServiceMethod string
	Seq           uint64
	Error         string
}

// serveSCFCalls answers the calls of one connection, each as soon as it can be, until the
// connection ends or brings what is no call; then those that are under way are still answered.
func serveSCFCalls(conn io.ReadWriteCloser, answer func(*messages.InvokeRequest) *messages.InvokeResponse) {
	defer func() { _ = conn.Close() }()
	var underWay sync.WaitGroup
	defer underWay.Wait()
	w := &replyWriter{buffer: bufio.NewWriter(conn)}
	w.gob = gob.NewEncoder(w.buffer)
	for calls := gob.NewDecoder(conn); ; {
		var head callHead
		if calls.Decode(&head) != nil {
			return
		}
		switch head.ServiceMethod {
		case "Function.Invoke":
			req := new(messages.InvokeRequest)
			if err := calls.Decode(req); err != nil { // if the connection has ended, the next head fails
				w.reply(head, err.Error(), struct{}{})
				continue
			}
			underWay.Go(func() { w.reply(head, "", answer(req)) })
		case "Function.Ping":
			if err := calls.Decode(new(messages.PingRequest)); err != nil {
				w.reply(head, err.Error(), struct{}{})
				continue
			}
			w.reply(head, "", &messages.PingResponse{})
		default:
			if calls.DecodeValue(reflect.Value{}) != nil {
				return
			}
			w.reply(head, "rpc: can't find method "+head.ServiceMethod, struct{}{})
		}
	}
}

// A replyWriter writes replies whole.
type replyWriter struct {
	mu     sync.Mutex
	buffer *bufio.Writer
	gob    *gob.Encoder
}

func (w *replyWriter) reply(to callHead, failure string, body any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// A connection that cannot be written to cannot be read from either.
	if w.gob.Encode(replyHead{to.ServiceMethod, to.Seq, failure}) == nil && w.gob.Encode(body) == nil {
		_ = w.buffer.Flush()
	}
}
