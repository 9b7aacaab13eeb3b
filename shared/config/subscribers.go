package config

import (
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"wxrefund/shared/deliver"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// FunctionName is what Tencent SCF allows as a function's name. It is compiled
// where it is needed: at every start of every function it would cost them all.
const FunctionName = `^[A-Za-z][A-Za-z0-9_-]{0,58}[A-Za-z0-9]$`

// subscribers are told of each refund that settles.
func subscribers(r *reader) []refund.Subscriber {
	var all []refund.Subscriber
	if names := r.list("NOTIFY_FUNCTIONS"); len(names) > 0 {
		g, isName := gateway(r), regexp.MustCompile(FunctionName)
		for i, text := range names {
			name, ok := strings.CutPrefix(text, "scf:")
			switch {
			case !ok || !isName.MatchString(name):
				r.problem("NOTIFY_FUNCTIONS", "must be a list such as scf:first,scf:second")
			case slices.Contains(names[:i], text):
				r.problem("NOTIFY_FUNCTIONS", "names scf:"+name+" twice")
			default:
				all = append(all, deliver.Function(g, name))
			}
		}
	}
	return append(all, webhook(r)...)
}

func webhook(r *reader) []refund.Subscriber {
	at := r.webhookURL("NOTIFY_WEBHOOK_URL")
	secrets := pair(r, "NOTIFY_WEBHOOK_SECRET", strings.Fields(r.get("NOTIFY_WEBHOOK_SECRET")), deliver.ParseSecret)
	switch {
	case r.get("NOTIFY_WEBHOOK_URL") == "" && r.get("NOTIFY_WEBHOOK_SECRET") == "":
		return nil
	case r.get("NOTIFY_WEBHOOK_URL") == "":
		r.problem("NOTIFY_WEBHOOK_URL", "is missing beside NOTIFY_WEBHOOK_SECRET")
	case r.get("NOTIFY_WEBHOOK_SECRET") == "":
		r.problem("NOTIFY_WEBHOOK_SECRET", "is missing beside NOTIFY_WEBHOOK_URL")
	}
	return []refund.Subscriber{deliver.Webhook(wxpay.NewHTTPClient(nil), at, secrets...)}
}

// webhookURL reads an address of the merchant's own. It is https, but on this
// machine: what is told names orders and amounts.
func (r *reader) webhookURL(name string) string {
	v := r.get(name)
	if v == "" {
		return ""
	}
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || u.Fragment != "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		r.problem(name, "must be an https address, or http on this machine")
		return ""
	}
	return v
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
