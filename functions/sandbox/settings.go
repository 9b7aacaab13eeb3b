package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"strings"
	"time"

	"wxrefund/functions/own"
	"wxrefund/shared/config"
	"wxrefund/shared/host"
	"wxrefund/shared/sandbox"
)

// noPace is what both sides call it when refunds of one order need not wait.
const noPace = -1

// effectivePace is the least time between two refunds of one order, on both sides: the flag's, or
// that of REFUND_PACE. What is wrong with the variable is said when our side reads it.
func (o options) effectivePace(getenv func(string) string) time.Duration {
	pace := o.pace
	if !o.set("pace") {
		if d, err := time.ParseDuration(strings.TrimSpace(getenv("REFUND_PACE"))); err == nil {
			pace = d
		}
	}
	if pace == 0 {
		return noPace
	}
	return pace
}

// policySettings are what the functions here obey if it is set where the sandbox is started,
// so that a program with the settings of /_sandbox/env has to obey it too.
func policySettings() []string {
	return []string{
		"REFUND_OPERATORS", "REFUND_MAX_FEN", "REFUND_APPROVAL_FEN", "REFUND_PACE", "REFUND_VERIFY_ORDER", "REFUND_WAIT_FUNDS",
		"REFUND_SELF", "REFUND_SELF_FEN", "REFUND_SELF_HOURS", "REFUND_SELF_DAILY",
	}
}

// variables are what a function of the merchant's is set to here beside its channel, in
// this process or in one of its own: what the flags say, and by what it recognises over
// plain HTTP who calls.
func (o options) variables(getenv func(string) string) map[string]string {
	v := map[string]string{
		"REFUND_SERVER_TOKEN": cmp.Or(strings.TrimSpace(getenv("REFUND_SERVER_TOKEN")), rand.Text()+rand.Text()),
		"TRUST_WX_HEADERS":    "true", // we are the gateway that sets them
	}
	for _, name := range policySettings() {
		if value := strings.TrimSpace(getenv(name)); value != "" {
			v[name] = value
		}
	}
	if o.set("pace") {
		v["REFUND_PACE"] = o.pace.String()
	}
	if o.set("operators") || strings.TrimSpace(getenv("REFUND_OPERATORS")) == "" {
		v["REFUND_OPERATORS"] = o.operators
	}
	// What buyers and operators may do can be tried without any setting.
	unset := func(name string) bool { return strings.TrimSpace(getenv(name)) == "" }
	if unset("REFUND_SELF") && strings.TrimSpace(getenv("REFUND_VERIFY_ORDER")) != "off" {
		v["REFUND_SELF"] = "propose"
	}
	if unset("REFUND_APPROVAL_FEN") {
		v["REFUND_APPROVAL_FEN"] = "50000"
	}
	if o.webhook != "" {
		v["NOTIFY_WEBHOOK_URL"] = string(o.webhook)
		v["NOTIFY_WEBHOOK_SECRET"] = cmp.Or(getenv("NOTIFY_WEBHOOK_SECRET"), newWebhookSecret())
	}
	return v
}

// buyer pays the orders that the console makes.
const buyer = "oBuyer"

// callers are whom the console plays: two operators, since who applies for a refund, or
// proposes one, is not who allows it.
func (o options) callers(getenv func(string) string) sandbox.Callers {
	all := sandbox.Callers{Buyer: buyer, Operators: []string{}}
	operators := o.operators
	if named := getenv("REFUND_OPERATORS"); !o.set("operators") && strings.TrimSpace(named) != "" {
		operators = named
	}
	for name := range strings.SplitSeq(operators, ",") {
		if name = strings.TrimSpace(name); name != "" && len(all.Operators) < 2 {
			all.Operators = append(all.Operators, name)
		}
	}
	return all
}

// check refuses what cannot be meant, with an exit code.
func (o options) check() (code int, err error) {
	switch {
	case o.speed == 0:
		return codeUsage, errors.New("a clock of -speed 0 would stand still")
	case o.pace < 0:
		return codeUsage, errors.New("a -pace below zero")
	case strings.Contains(string(o.notify), "?"):
		return codeUsage, errors.New("WeChat Pay takes no query in the address of -notify")
	case o.operators != "" && strings.Trim(o.operators, ", ") == "":
		return codeUsage, errors.New("there is no openid in -operators " + o.operators)
	case len(o.command) > 0:
		return findCommand(o.command)
	}
	return 0, nil
}

// quiet is the environment in which, beside a command or a scenario, whose output that of
// the log would be in between of, only warnings are logged unless somebody wants more.
func (o options) quiet(getenv func(string) string) func(string) string {
	return func(name string) string {
		v := getenv(name)
		if name == "LOG_LEVEL" && v == "" && (len(o.command) > 0 || o.scenario != nil) {
			return "warn"
		}
		return v
	}
}

// madeSecret is the webhook's, if it was made here; else nothing.
func madeSecret(variables map[string]string, getenv func(string) string) string {
	const name = "NOTIFY_WEBHOOK_SECRET"
	if getenv(name) != "" {
		return ""
	}
	return variables[name]
}

// newWebhookSecret makes a secret as Standard Webhooks writes it.
func newWebhookSecret() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(raw)
}

// inherited tells whether a variable of the environment counts for our side: what it may
// do and whom it tells. Who it is and where everything stands is the sandbox's.
func inherited(name string) bool {
	for _, prefix := range []string{"REFUND_", "NOTIFY_", "ALERT_", "LOG_LEVEL"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// load configures the merchant's side as a deployed function is configured: by variables.
func load(ctx context.Context, o options, wechat *sandbox.Sandbox, getenv func(string) string, log *slog.Logger) (*config.System, host.Identity, error) {
	settings, err := wechat.Settings(o.channel)
	if err != nil {
		return nil, host.Identity{}, err
	}
	settings["LEDGER_URL"] = o.ledger
	if examples, more := settings["NOTIFY_FUNCTIONS"], getenv("NOTIFY_FUNCTIONS"); examples != "" && more != "" {
		settings["NOTIFY_FUNCTIONS"] = examples + "," + more
	}
	lookup := func(name string) string {
		if v, ok := settings[name]; ok || !inherited(name) {
			return v
		}
		return getenv(name)
	}
	id, errID := host.ReadIdentity(lookup)
	sys, err := config.Load(ctx, lookup, log)
	if err != nil {
		return nil, id, errors.Join(err, errID)
	}
	subscribers, err := own.Subscribers(getenv, log)
	if err := errors.Join(err, errID); err != nil {
		return nil, id, errors.Join(err, sys.Close())
	}
	sys.Refunds.Now, sys.Refunds.Pace = wechat.Now, o.pace
	sys.Refunds.Subscribers = append(sys.Refunds.Subscribers, subscribers...)
	return sys, id, nil
}

// miniProgram is the appid of the program whose users call: where a provider's merchant has one
// of its own, that one.
func miniProgram(wechat *sandbox.Sandbox, channel string) string {
	settings, _ := wechat.Settings(channel) // has been read before
	return cmp.Or(settings["WXPAY_SUB_APPID"], settings["WXPAY_APPID"])
}

// ledgerKind is a ledger's URL without what may be a password.
func ledgerKind(ledger string) string {
	if strings.HasPrefix(ledger, "sqlite:") {
		return ledger
	}
	scheme, _, _ := strings.Cut(ledger, ":")
	return scheme
}

// usedBefore tells whether the ledger is a file that is there already: WeChat's side has
// forgotten the refunds that are in it.
func usedBefore(ledger string) bool {
	path, ok := strings.CutPrefix(ledger, "sqlite:")
	f, err := os.Stat(path)
	return ok && err == nil && f.Size() > 0
}
