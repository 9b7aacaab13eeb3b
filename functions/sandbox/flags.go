package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/config"
)

// memoryLedger is one that ends with the process.
const memoryLedger = "sqlite::memory:"

// options are the flags, and the command behind them.
type options struct {
	listen, wechat, wechatTLS  string
	ledger, channel, operators string
	database                   string // "": the environment has none
	speed                      float64
	seed                       int64
	hostile, subscribers       bool
	timer                      bool
	pace                       time.Duration
	merchant                   string
	notify, webhook            address
	functions                  forwards
	command                    []string // nothing: none
	container                  bool
	scenario                   *scenario // nil: serve until somebody ends it

	given []string // the flags that were set
}

// set tells whether a flag was given.
func (o options) set(name string) bool { return slices.Contains(o.given, name) }

// parse reads the flags, and behind -- the command.
func parse(args []string, stderr io.Writer) (o options, err error) {
	if i := slices.Index(args, "--"); i >= 0 {
		args, o.command = args[:i], args[i+1:]
		if len(o.command) == 0 {
			return o, report(stderr, "sandbox: a command is missing behind --")
		}
	}
	f := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	f.SetOutput(io.Discard) // what is wrong is one line, and the usage is for whoever asks
	usage := func() {
		f.SetOutput(stderr)
		fmt.Fprintln(stderr, "Usage: sandbox [flags] [-- COMMAND ...]\n\n"+
			"Behind -- stands a command to run: it finds the sandbox by its variables, and the sandbox ends with it.")
		f.PrintDefaults()
	}
	f.StringVar(&o.listen, "listen", "127.0.0.1:8700", "address of our side: the functions, /notify, /_sandbox; with a command any port")
	f.StringVar(&o.wechat, "wechat", "127.0.0.1:8701", "address of WeChat's side; with a command any port")
	f.StringVar(&o.wechatTLS, "wechat-tls", "127.0.0.1:8702", "address of WeChat's side with TLS, under the real hosts' names; with a command any port")
	f.StringVar(&o.ledger, "ledger", memoryLedger, "`URL` of the ledger")
	f.StringVar(&o.database, "cloudbase-db", "", "`URL` of a PostgreSQL that plays the CloudBase environment's database; without -ledger the ledger is in it")
	f.StringVar(&o.channel, "channel", "apiv3", "upstream system")
	f.Float64Var(&o.speed, "speed", 60, "virtual seconds in a second: settlement and repeats")
	f.Int64Var(&o.seed, "seed", 1, "what all chance comes from")
	f.BoolVar(&o.hostile, "hostile", true, "send notifications twice and out of order")
	f.BoolVar(&o.subscribers, "subscribers", false, "tell three example functions of each settled refund")
	f.BoolVar(&o.timer, "timer", true, "run the timer every virtual minute")
	f.StringVar(&o.operators, "operators", "oOperatorA,oOperatorB", "comma-separated `openids` that may refund; in place of REFUND_OPERATORS")
	f.DurationVar(&o.pace, "pace", time.Minute, "least virtual time between two refunds of one order, on WeChat's side and ours; 0s: none; in place of REFUND_PACE")
	f.StringVar(&o.merchant, "merchant", "switching", "which of WeChat Pay's keys the merchant has: certificate, switching or public-key")
	f.BoolVar(&o.container, "container", false, "listen at all addresses, our side at PORT if it is set, and take the gateway for this machine")
	file := f.String("scenario", "", "take the steps in this `file`, print a line for each, and end")
	f.Var(&o.notify, "notify", "`URL` to which WeChat's side posts notifications, in place of our /notify")
	f.Var(&o.webhook, "webhook", "`URL` that our side tells of each settled refund, signed")
	f.Var(&o.functions, "function", "`NAME=URL`: calls of the function NAME go to URL, by POST; repeatable")
	if err = f.Parse(args); errors.Is(err, flag.ErrHelp) {
		usage()
		return o, err
	} else if err != nil {
		return o, report(stderr, fmt.Sprintf("sandbox: %v; -h lists the flags", err))
	}
	if f.NArg() > 0 {
		return o, report(stderr, fmt.Sprintf("sandbox: unexpected argument %q; a command stands behind --", f.Arg(0)))
	}
	if *file != "" {
		if len(o.command) > 0 {
			return o, report(stderr, "sandbox: either a -scenario or a command")
		}
		if o.scenario, err = loadScenario(*file, f); err != nil {
			return o, report(stderr, "sandbox: "+err.Error())
		}
	}
	if o.container {
		if err := listenInContainer(f); err != nil {
			return o, report(stderr, "sandbox: "+err.Error())
		}
	}
	f.Visit(func(g *flag.Flag) { o.given = append(o.given, g.Name) })
	if len(o.command) > 0 { // beside another sandbox, and another command
		for name, listen := range map[string]*string{"listen": &o.listen, "wechat": &o.wechat, "wechat-tls": &o.wechatTLS} {
			if !o.set(name) {
				*listen = "127.0.0.1:0"
			}
		}
	}
	return o, nil
}

// report writes a line about the flags, and returns it as an error.
func report(stderr io.Writer, line string) error {
	err := fmt.Errorf("%s", line)
	fmt.Fprintln(stderr, err)
	return err
}

// An address is a flag: an absolute http or https URL.
type address string

func (a *address) String() string { return string(*a) }

func (a *address) Set(v string) error {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Fragment != "" {
		return fmt.Errorf("want an address such as http://127.0.0.1:9000/")
	}
	*a = address(v)
	return nil
}

// forwards is a flag that may be repeated: where calls of some functions go.
type forwards map[string]string

func (f *forwards) String() string { return "" }

// functionForm is what a function can be called, here and in a scenario.
var functionForm = regexp.MustCompile(config.FunctionName)

func (f *forwards) Set(v string) error {
	name, text, _ := strings.Cut(v, "=")
	var at address
	switch {
	case !functionForm.MatchString(name):
		return fmt.Errorf("%q is no function's name, want 2 to 60 letters, digits, - and _, as in notify=http://127.0.0.1:9000/", name)
	case at.Set(text) != nil:
		return fmt.Errorf("%q is no address, want one as in notify=http://127.0.0.1:9000/", text)
	case (*f)[name] != "":
		return fmt.Errorf("the function %s is given twice", name)
	case name == "cloudbase_module":
		return fmt.Errorf("cloudbase_module is the platform's own function")
	}
	if *f == nil {
		*f = forwards{}
	}
	(*f)[name] = text
	return nil
}

// backTo finds a function that would be called at an address of the sandbox itself, as far
// as that can be seen from it; one that only a name server knows is found when it is called.
func (f forwards) backTo(address string) (name string) {
	own, err := url.Parse(address)
	if err != nil {
		return ""
	}
	for name, text := range f {
		if to, err := url.Parse(text); err == nil && to.Port() == own.Port() && sameMachine(to.Hostname(), own.Hostname()) {
			return name
		}
	}
	return ""
}

// sameMachine tells whether a host in a URL is one that listens: it is written in the same
// way, or both are this machine.
func sameMachine(host, listens string) bool {
	here := func(name string) bool {
		ip := net.ParseIP(name)
		return strings.EqualFold(name, "localhost") || ip.IsLoopback() || ip.IsUnspecified()
	}
	return host == listens || here(host) && here(listens)
}
