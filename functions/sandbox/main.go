// Sandbox runs the whole refund back end on one machine: our functions, and a
// WeChat Pay that plays the counterparty. It is for development and tests, and
// never for production: whoever reaches it may refund, and its keys are public.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"wxrefund/notify"
	"wxrefund/shared/host"
	"wxrefund/shared/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run serves until ctx ends, or the command that it was given. It returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return codeUsage
	}
	code, err := serve(ctx, o, getenv, stdout, stderr)
	if o.scenario != nil && (err == nil || errors.Is(err, errScenario)) {
		return o.scenario.exitCode()
	}
	if err != nil {
		fmt.Fprintln(stderr, "sandbox:", strings.ReplaceAll(strings.TrimPrefix(err.Error(), "sandbox: "), "\n", "; "))
		return cmp.Or(code, 1)
	}
	return code
}

// serve puts everything together and runs it. It returns the command's exit code.
func serve(ctx context.Context, o options, getenv func(string) string, stdout, stderr io.Writer) (code int, err error) {
	if code, err = o.check(); err != nil {
		return code, err
	}
	log := newLogger(stderr, o.quiet(getenv))
	ports, err := listen(ctx, o.ourAddress(getenv), o.wechat, o.wechatTLS)
	if _, wrong := errors.AsType[*net.AddrError](err); wrong {
		return codeUsage, err
	} else if err != nil {
		return 0, err
	}
	defer ports.close()
	var feed consoleFeed
	var keys keyWatch
	used, variables := usedBefore(o.ledger), o.variables(getenv)
	o.pace = o.effectivePace(getenv)
	wechat, err := sandbox.New(sandbox.Config{
		Seed: o.seed, Hostile: o.hostile, Speed: o.speed, Pace: o.pace, Subscribers: o.subscribers, Log: log,
		Channel: o.channel, NoTimer: !o.timer, MerchantRefunds: feed.read, MerchantBills: feed.bills, Variables: variables, Callers: o.callers(getenv),
		Merchant: o.merchant, KeysRotated: keys.rotated,
	})
	if err != nil {
		return codeUsage, err
	}
	feed.changed, feed.billed = wechat.MerchantChanged, wechat.MerchantBillsChanged
	urls := o.urls(ports)
	if name := o.functions.backTo("http://" + ports.address(0) + "/"); name != "" {
		return codeUsage, fmt.Errorf("-function %s=%s leads back to this sandbox", name, o.functions[name])
	}
	wechat.SetURLs(urls)
	database, err := o.openDatabase(wechat)
	if err != nil {
		return codeUsage, err
	}
	defer database.Close() //nolint:errcheck // it has nothing to say
	if o.ledger, err = o.ledgerIn(wechat); err != nil {
		return codeUsage, err
	}
	// The ledger may be behind WeChat's side, which is therefore there before our own.
	front := inBackground(ctx, func(ctx context.Context) error { return host.Serve(ctx, ports[1], wechat.WeChat(), log) })
	defer front.end()
	sys, id, err := load(ctx, o, wechat, getenv, log)
	if err != nil {
		return codeUsage, err
	}
	defer func() { _ = sys.Close() }() // the process ends anyway
	keys.attach(ctx, sys, wechat, o.channel, log)
	if err := feed.attach(ctx, sys.Refunds); err != nil {
		return 0, err
	}
	listener := &notify.Handler{Refunds: sys.Refunds, Keys: sys.Keys, Secret: sys.Secret, APIKey: sys.APIKey, Log: log}
	program := miniProgram(wechat, o.channel)
	functions := merchantFunctions(sys, listener, log, id, program)
	maps.Copy(functions, forwarded(o.functions, id, variables["REFUND_SERVER_TOKEN"], program))
	wechat.SetFunctions(hosted(functions, log))

	r := ready{true, "http://" + ports.address(0), urls.WeChat, urls.WeChatTLS, o.seed}
	o.warn(ctx, log, r, used || len(feed.listed) > 0, madeSecret(variables, getenv))
	ours := merchantSide(listener, functions, admissions(sys, o.functions), wechat, log)
	if o.container {
		ours = fromThisMachine(ours)
	}
	secure := tls.NewListener(ports[2], wechat.TLSConfig())
	ctx, end := context.WithCancel(ctx)
	defer end()
	err = together(ctx,
		func(ctx context.Context) error { return wechat.Run(ctx) },
		func(ctx context.Context) error {
			if o.timer {
				timer(ctx, wechat, functions["reconcile"], log)
			}
			return nil
		},
		func(ctx context.Context) error {
			if o.ledger != memoryLedger { // others may write to it
				feed.follow(ctx, sys.Refunds.Ledger, log)
			}
			return nil
		},
		func(ctx context.Context) error { return host.Serve(ctx, ports[0], ours, log) },
		front.wait,
		func(ctx context.Context) error { return host.Serve(ctx, secure, wechat.WeChat(), log) },
		func(ctx context.Context) error {
			if len(o.command) == 0 {
				return o.announce(ctx, r, stdout)
			}
			ended, err := runCommand(ctx, o, wechat, r, stdout, stderr)
			if code = ended; err == nil {
				end()
			}
			return err
		},
	)
	return code, err
}

// warn says what somebody should know before the first call. The secret of the webhook is
// shown if it was made here: one that was set may be somebody's real one.
func (o options) warn(ctx context.Context, log *slog.Logger, r ready, used bool, secret string) {
	log.WarnContext(ctx, "this sandbox is not for production: its keys are public and everybody who reaches it may refund", "console", r.Listen+"/")
	if used {
		log.WarnContext(ctx, "this ledger has been used before, and WeChat's side has forgotten the orders and refunds that are in it: "+
			"what was settled is answered from the ledger alone, and what was open never settles; begin with a new one", "ledger", ledgerKind(o.ledger))
	}
	if relayed := o.channel == "cloudbase" || o.channel == "cloudpay"; relayed && o.notify != "" {
		log.WarnContext(ctx, "-notify is not for the channel "+o.channel+", whose notifications are calls of a function: give -function notify=URL")
	}
	if secret != "" {
		log.WarnContext(ctx, "our side tells a webhook of each settled refund, signed as Standard Webhooks with this secret",
			"url", string(o.webhook), "secret", secret)
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

// urls are where everything listens.
func (o options) urls(ports listeners) sandbox.URLs {
	return sandbox.URLs{
		WeChat:    "http://" + ports.address(1),
		WeChatTLS: "https://" + ports.address(2),
		Notify:    cmp.Or(string(o.notify), "http://"+ports.address(0)+"/notify"),
		Relay:     "http://" + ports.address(0) + "/functions/notify",
	}
}

// announce says that everything is ready; a scenario begins, whose steps standard output
// then belongs to.
func (o options) announce(ctx context.Context, r ready, stdout io.Writer) error {
	if o.scenario != nil {
		return o.scenario.run(ctx, r.Listen, stdout)
	}
	return json.NewEncoder(stdout).Encode(r)
}
