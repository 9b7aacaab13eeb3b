package ledger

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// farHost reaches what listens on this machine, and is a far host to us, for it is no
// loopback address.
const farHost = "0.0.0.0"

// To a far server that speaks no TLS, nothing is sent in plain text: not even who we are.
func TestNothingIsSentToAServerInPlainText(t *testing.T) {
	t.Parallel()
	for scheme, c := range map[string]struct {
		offer func(net.Conn) (asked []byte) // until the server says that it has no TLS; what came and is no question about it
		want  string
	}{
		"postgres": {func(c net.Conn) []byte {
			request := make([]byte, 8)
			if _, err := io.ReadFull(c, request); err != nil || binary.BigEndian.Uint32(request[4:]) != 80877103 {
				return request
			}
			_, _ = c.Write([]byte("N"))
			return nil
		}, "server refused TLS connection"},
		"mysql": {func(c net.Conn) []byte {
			// The greeting of a server that can all but TLS (0x0800).
			const can = 0x0200 | 0x8000 | 0x0008 | 0x80000 // protocol 4.1, secure connection, with database, named plugins
			greeting := append([]byte{10}, "8.0.0\x00"...)
			greeting = append(greeting, 1, 0, 0, 0)
			greeting = append(greeting, "12345678\x00"...)
			greeting = append(greeting, byte(can&0xff), byte(can>>8&0xff), 45, 2, 0, byte(can>>16&0xff), 0, 21)
			greeting = append(greeting, make([]byte, 10)...)
			greeting = append(greeting, "123456789012\x00mysql_native_password\x00"...)
			_, _ = c.Write(append([]byte{byte(len(greeting)), 0, 0, 0}, greeting...))
			return nil
		}, "TLS requested but server does not support TLS"},
	} {
		if !hasDriver(scheme) {
			continue
		}
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			received := make(chan []byte, 100)
			port := listen(t, func(conn net.Conn) {
				asked := c.offer(conn)
				rest, _ := io.ReadAll(conn)
				received <- append(asked, rest...)
			})
			refuses(t, scheme+"://root:canary@"+farHost+":"+port+"/refunds", received, c.want)
		})
	}
}

// listen answers connections until the test ends.
func listen(t *testing.T, answer func(net.Conn)) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			answer(c)
			c.Close()
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// refuses insists that a ledger is not used, and that the server receives nothing more.
func refuses(t *testing.T, url string, received <-chan []byte, want string) {
	t.Helper()
	s := open(t, url)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := s.Get(ctx, "a"); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
		t.Errorf("error %v, want %q and no secret", err, want)
	}
	for n := 0; ; n++ {
		select {
		case got := <-received:
			if len(got) > 0 {
				t.Errorf("the server received %q", got)
			}
		case <-time.After(time.Second):
			if n == 0 {
				t.Error("nobody has connected to the server")
			}
			return
		}
	}
}

func hasDriver(scheme string) bool { return slices.Contains(Schemes(), scheme) }
