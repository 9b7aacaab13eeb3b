package main

import (
	"context"
	"fmt"
	"net"
)

// listeners are the merchant's side, WeChat's side, and WeChat's side with TLS.
type listeners []net.Listener

func listen(ctx context.Context, addresses ...string) (listeners, error) {
	var all listeners
	for _, a := range addresses {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", a)
		if err != nil {
			all.close()
			return nil, fmt.Errorf("cannot listen: %w", err)
		}
		all = append(all, l)
	}
	return all, nil
}

func (l listeners) close() {
	for _, x := range l {
		_ = x.Close() // an error here means that the server has closed it already
	}
}

// address is where a listener can be reached from this machine.
func (l listeners) address(i int) string {
	a := l[i].Addr().(*net.TCPAddr)
	if a.IP.IsUnspecified() {
		return fmt.Sprintf("127.0.0.1:%d", a.Port)
	}
	return a.String()
}
