package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
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

// serveHTTP serves until ctx ends; what is under way then gets a second.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		grace, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			_ = srv.Close()
		}
	})
	err := srv.Serve(l)
	if !stop() {
		<-ended // Serve returns when the end begins
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
