// Sandbox runs the whole refund back end on one machine: our functions, and a
// WeChat Pay that plays the counterparty. It is for development and tests, and
// never for production: whoever reaches it may refund, and its keys are public.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"wxrefund/functions/own"
	"wxrefund/shared/config"
	"wxrefund/shared/host"
	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// options are the flags.
type options struct {
	listen, wechat, wechatTLS  string
	ledger, channel, operators string
	speed                      float64
	seed                       int64
	hostile, subscribers       bool
	timer                      bool
	pace                       time.Duration
	merchant                   string
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	f := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.listen, "listen", "127.0.0.1:8700", "address of our side: the functions, /notify, /_sandbox")
	f.StringVar(&o.wechat, "wechat", "127.0.0.1:8701", "address of WeChat's side")
	f.StringVar(&o.wechatTLS, "wechat-tls", "127.0.0.1:8702", "address of WeChat's side with TLS, under the real hosts' names")
	f.StringVar(&o.ledger, "ledger", memoryLedger, "`URL` of the ledger")
	f.StringVar(&o.channel, "channel", "apiv3", "upstream system")
	f.Float64Var(&o.speed, "speed", 60, "virtual seconds in a second: settlement and repeats")
	f.Int64Var(&o.seed, "seed", 1, "what all chance comes from")
	f.BoolVar(&o.hostile, "hostile", true, "send notifications twice and out of order")
	f.BoolVar(&o.subscribers, "subscribers", false, "tell three example functions of each settled refund")
	f.BoolVar(&o.timer, "timer", true, "run the timer every virtual minute")
	f.StringVar(&o.operators, "operators", "", "comma-separated `openids` that may refund")
	f.DurationVar(&o.pace, "pace", time.Minute, "least virtual time between two refunds of one order, on WeChat's side and ours; 0s: none")
	f.StringVar(&o.merchant, "merchant", "switching", "which of WeChat Pay's keys the merchant has: certificate, switching or public-key")
	if err = f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		err = fmt.Errorf("sandbox: unexpected argument %q", f.Arg(0))
		fmt.Fprintln(stderr, err)
	}
	return o, err
}

// run serves until ctx ends. It returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if err := serve(ctx, o, getenv, stdout, newLogger(stderr, getenv)); err != nil {
		fmt.Fprintln(stderr, "sandbox:", strings.TrimPrefix(err.Error(), "sandbox: "))
		return 1
	}
	return 0
}

// serve puts everything together and runs it.
func serve(ctx context.Context, o options, getenv func(string) string, stdout io.Writer, log *slog.Logger) error {
	switch {
	case o.speed == 0:
		return errors.New("a clock of -speed 0 would stand still")
	case o.pace < 0:
		return errors.New("a -pace below zero")
	case o.pace == 0:
		o.pace = noPace
	}
	ports, err := listen(ctx, o.listen, o.wechat, o.wechatTLS)
	if err != nil {
		return err
	}
	defer ports.close()
	var feed consoleFeed
	var keys keyWatch
	wechat, err := sandbox.New(sandbox.Config{
		Seed: o.seed, Hostile: o.hostile, Speed: o.speed, Pace: o.pace, Subscribers: o.subscribers, Log: log,
		Channel: o.channel, NoTimer: !o.timer, MerchantRefunds: feed.read,
		Merchant: o.merchant, KeysRotated: keys.rotated,
	})
	if err != nil {
		return err
	}
	feed.changed = wechat.MerchantChanged
	urls := sandbox.URLs{
		WeChat:    "http://" + ports.address(1),
		WeChatTLS: "https://" + ports.address(2),
		Notify:    "http://" + ports.address(0) + "/notify",
		Relay:     "http://" + ports.address(0) + "/functions/notify",
	}
	wechat.SetURLs(urls)
	sys, err := load(ctx, o, wechat, getenv, log)
	if err != nil {
		return err
	}
	defer func() { _ = sys.Close() }() // the process ends anyway
	keys.attach(ctx, sys, wechat, o.channel, log)
	if err := feed.attach(ctx, sys.Refunds); err != nil {
		return err
	}

	log.WarnContext(ctx, "this sandbox is not for production: its keys are public and everybody who reaches it may refund",
		"console", "http://"+ports.address(0)+"/")
	secure := tls.NewListener(ports[2], wechat.TLSConfig())
	return together(ctx,
		func(ctx context.Context) error { return wechat.Run(ctx) },
		func(ctx context.Context) error {
			if o.timer {
				timer(ctx, wechat, sys.Refunds)
			}
			return nil
		},
		func(ctx context.Context) error {
			if o.ledger != memoryLedger { // others may write to it
				feed.follow(ctx, sys.Refunds.Ledger, log)
			}
			return nil
		},
		func(ctx context.Context) error { return serveHTTP(ctx, ports[0], merchantSide(sys, wechat, log), log) },
		func(ctx context.Context) error { return serveHTTP(ctx, ports[1], wechat.WeChat(), log) },
		func(ctx context.Context) error { return serveHTTP(ctx, secure, wechat.WeChat(), log) },
		func(context.Context) error {
			return json.NewEncoder(stdout).Encode(ready{true, "http://" + ports.address(0), urls.WeChat, urls.WeChatTLS, o.seed})
		},
	)
}

// memoryLedger is one that ends with the process.
const memoryLedger = "sqlite::memory:"

// noPace is what both sides call it when refunds of one order need not wait.
const noPace = -1

// timer runs the reconciler every virtual minute, as a platform's trigger would.
// When the clock is moved on it runs once, soon after: what it asks is answered as
// of then.
func timer(ctx context.Context, wechat *sandbox.Sandbox, refunds *refund.Service) {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for next := wechat.Now().Add(time.Minute); ; {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		if wechat.Now().Before(next) {
			continue
		}
		if wechat.TimerRuns() {
			wechat.JournalRun("/functions/reconcile", worth, func() []byte {
				run, cancel := context.WithTimeout(host.WithRequestID(ctx, rand.Text()), time.Minute)
				defer cancel()
				return refunds.HandleTimer(run, refund.Caller{Kind: refund.Server}, nil)
			})
		}
		next = wechat.Now().Add(time.Minute)
	}
}

// ready is the one line on standard output.
type ready struct {
	Ready     bool   `json:"ready"`
	Listen    string `json:"listen"`
	WeChat    string `json:"wechat"`
	WeChatTLS string `json:"wechat_tls"`
	Seed      int64  `json:"seed"`
}

// load configures the merchant's side as a deployed function is configured: by variables.
func load(ctx context.Context, o options, wechat *sandbox.Sandbox, getenv func(string) string, log *slog.Logger) (*config.System, error) {
	settings, err := wechat.Settings(o.channel)
	if err != nil {
		return nil, err
	}
	settings["LEDGER_URL"] = o.ledger
	settings["REFUND_OPERATORS"] = o.operators
	settings["LOG_LEVEL"] = getenv("LOG_LEVEL")
	sys, err := config.Load(ctx, func(name string) string { return settings[name] }, log)
	if err != nil {
		return nil, err
	}
	sys.Refunds.Now, sys.Refunds.Pace = wechat.Now, o.pace
	subscribers, err := own.Subscribers(getenv, log)
	if err != nil {
		return nil, errors.Join(err, sys.Close())
	}
	sys.Refunds.Subscribers = append(sys.Refunds.Subscribers, subscribers...)
	return sys, nil
}

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
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			_ = srv.Close()
		}
	})
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// together runs all and waits for all; the first error ends the rest.
func together(ctx context.Context, all ...func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, f := range all {
		wg.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
