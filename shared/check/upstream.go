package check

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"wxrefund/shared/channel"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// A watch is the transport of the upstream's calls. It notes by how much the upstream's
// clock, as its answers' Date has it, is ahead of ours.
type watch struct {
	next http.RoundTripper

	mu    sync.Mutex
	ahead time.Duration
	told  bool
}

// RoundTrip is [http.RoundTripper]'s.
func (w *watch) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	resp, err := w.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	ended := time.Now()
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		// It was written at some time between, and leaves out what it has of a second.
		between := began.Add(ended.Sub(began) / 2)
		w.mu.Lock()
		w.ahead, w.told = date.Add(500*time.Millisecond).Sub(between), true
		w.mu.Unlock()
	}
	return resp, nil
}

// offset is what was noted; not told if nothing was.
func (w *watch) offset() (ahead time.Duration, told bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ahead, w.told
}

// watchUpstream puts the watch in front of the channel's own transport.
func (c *checker) watchUpstream() {
	var client *http.Client
	switch ch := c.sys.Refunds.Channel.(type) {
	case *channel.APIv3:
		ch.Client.HTTP = wxpay.NewHTTPClient(nil) // as it would make for itself
		client = ch.Client.HTTP
	case *channel.CloudBase:
		client = ch.Gateway.HTTP
	case *channel.CloudPay:
		client = ch.Gateway.HTTP
	case *channel.Global:
		client = ch.HTTP
	case *channel.WeCom:
		client = ch.HTTP
	}
	c.watch, c.cert = &watch{next: client.Transport}, leaf(client)
	client.Transport = c.watch
}

// upstream proves by calls of the channel what can be proved of its settings.
func (c *checker) upstream(ctx context.Context) (all []Result) {
	switch ch := c.sys.Refunds.Channel.(type) {
	case *channel.APIv3:
		all = c.apiv3(ctx, ch)
	case *channel.CloudBase:
		all = c.gateway(ctx)
	case *channel.CloudPay:
		all = c.gateway(ctx)
		if ch.Callback == "" {
			all = append(all, note("notifications", "CLOUDPAY_CALLBACK_FUNCTION is empty: CloudPay tells nobody of a refund, and reconcile alone finds out", "name the function notify there"))
		}
	case *channel.Global:
		all = c.global(ctx, ch)
	case *channel.WeCom:
		all = c.wecom(ctx)
	}
	return append([]Result{c.clock()}, all...)
}

// By how much a clock may be wrong. WeChat Pay refuses from five minutes on, and so do we.
const (
	clockWrong = 2 * time.Minute
	clockOff   = 10 * time.Second
)

// clock compares the machine's with the upstream's.
func (c *checker) clock() Result {
	const name = "clock"
	const set = "set this machine's clock (NTP); those of cloud functions are set by the platform"
	ahead, told := c.watch.offset()
	if !told {
		return note(name, "the upstream has told no time", "")
	}
	off, way := ahead.Abs().Round(time.Second), "behind"
	if ahead < 0 {
		way = "ahead of"
	}
	text := fmt.Sprintf("this machine's clock is %s %s the upstream's", off, way)
	switch {
	case off > clockWrong:
		return problem(name, text+"; signatures count for five minutes", set)
	case off > clockOff:
		return warning(name, text, set)
	}
	return ok(name, "within %s of the upstream's", max(off, time.Second))
}

// clockTells reports whether the clock is so wrong that signatures are refused for it.
func (c *checker) clockTells() bool {
	ahead, told := c.watch.offset()
	return told && ahead.Abs() > 4*time.Minute
}

// ask asks the upstream about a refund that nobody has made. Its error is nil if the
// upstream says that it knows none of that number: the rule of every channel.
func (c *checker) ask(ctx context.Context) *refund.Error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	_, err := c.sys.Refunds.Channel.Query(ctx, refund.Lookup{OutRefundNo: unknownNo()})
	switch {
	case err == nil:
		return &refund.Error{Code: refund.CodeInternal, Message: "the upstream says that it knows a refund whose number was made up"}
	case refund.IsCode(err, refund.CodeNotFound):
		return nil
	}
	return refund.AsError(err)
}

// unknownNo is a number that nobody has used, of a length that every channel takes.
func unknownNo() string { return "check" + rand.Text() }

// refundQuery is the line about asking for a refund.
const refundQuery = "refund query"

// notAsked adds a note for each line that is not there, because of the first that is wrong,
// or else of the last: nobody should take what was not looked at for what is right.
func notAsked(all []Result, names ...string) []Result {
	because := all[len(all)-1].Name
	if i := slices.IndexFunc(all, func(r Result) bool { return r.Status == Problem }); i >= 0 {
		because = all[i].Name
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(r Result) bool { return r.Name == name }) {
			all = append(all, note(name, "not asked: "+because+" first", ""))
		}
	}
	return all
}

// query is the line about asking for a refund.
func (c *checker) query(ctx context.Context) Result {
	const name = refundQuery
	e := c.ask(ctx)
	if e == nil {
		return ok(name, "the upstream answers, and knows no refund of a made-up number")
	}
	return problem(name, answer(e), c.remedy(e))
}

// answer is what an upstream has said, without what that means for a refund.
func answer(e *refund.Error) string {
	text, _, _ := strings.Cut(e.Message, "; the outcome is unknown")
	if e.Upstream != "" && !strings.Contains(text, e.Upstream) {
		text += " (" + e.Upstream + ")"
	}
	if e.Err != nil {
		text += ": " + line(e.Err)
	}
	return text
}

// remedy says what to do about the answer to a question.
func (c *checker) remedy(e *refund.Error) string {
	return cmp.Or(c.knownRemedy(e, c.base()), c.remedyOfChannel())
}

// base is the setting that says where the channel's upstream is; "": it is where it always is.
func (c *checker) base() string {
	switch c.sys.Refunds.Channel.(type) {
	case *channel.CloudBase, *channel.CloudPay:
		return c.given("TCB_API_URL")
	}
	return c.given("WXPAY_BASE_URL")
}

// given is the setting's name if it is set, "" otherwise.
func (c *checker) given(setting string) string {
	if strings.TrimSpace(c.Getenv(setting)) == "" {
		return ""
	}
	return setting
}

// knownRemedy is what the clock, the network or the code say; "": none of them says
// anything. The address that was called is that of a setting, or "".
func (c *checker) knownRemedy(e *refund.Error, setting string) string {
	if c.clockTells() {
		return "set the clock first, see there"
	}
	if e.Err != nil {
		if do := network(e.Err, setting); do != "" {
			return do
		}
	}
	return remedies()[e.Upstream]
}

// remedies says what to do about an upstream's code, where it is a setting's.
func remedies() map[string]string {
	const (
		key      = "correct WXPAY_PRIVATE_KEY and WXPAY_SERIAL_NO: they must be of one certificate of the merchant WXPAY_MCHID"
		v2key    = "correct WXPAY_API_KEY (merchant platform, account centre, API security: the APIv2 key) and WXPAY_SIGN_TYPE"
		merch    = "correct WXPAY_MCHID and WXPAY_SUB_MCHID"
		appid    = "correct WXPAY_APPID (and WXPAY_SUB_APPID): it must be bound to the merchant, on the merchant platform"
		allow    = "on the merchant platform: apply for the permission to refund by API, and allow this IP address if there is a list of them"
		gateway  = "correct TENCENTCLOUD_SECRETID and TENCENTCLOUD_SECRETKEY: a key of the account that has the environment TCB_ENV (Tencent Cloud, CAM)"
		apiKey   = "correct CLOUDBASE_APIKEY: the server key of this environment (console, 环境配置 → ApiKey 管理), not that of the AI page"
		env      = "correct TCB_ENV: the id of an environment of the account whose key this is"
		wecomKey = "correct WECOM_CORPSECRET: the secret of the application that collects payments"
		corp     = "correct WECOM_CORPID"
		ip       = "add this machine's address, and the functions', to the application's trusted IP addresses"
		app      = "let the application call 对外收款 (WeCom console, 对外收款, applications that may call the interface)"
	)
	return map[string]string{
		"SIGN_ERROR": key, "NO_AUTH": allow, "MCH_NOT_EXISTS": merch,
		"SIGNERROR": v2key, "NOAUTH": allow, "MCHID_NOT_EXIST": merch, "APPID_NOT_EXIST": appid, "APPID_MCHID_NOT_MATCH": appid,
		"SIGN_PARAM_INVALID": gateway, "INVALID_ACCESS_TOKEN": apiKey, "INVALID_ENV": env,
		"FUNCTION_NOT_FOUND": "install the CloudBase template for WeChat Pay in the environment: it brings the function cloudbase_module",
		"40001":              wecomKey, "40091": wecomKey, "41004": wecomKey,
		"40013": corp, "2000002": corp, "41002": corp,
		"60020": ip, "90308": ip,
		"48002": app, "48004": app, "50003": app, "60011": app, "301002": app,
		"90206": appid, "90207": appid, "90208": appid,
	}
}

// remedyOfChannel is what to look at where no code says more.
func (c *checker) remedyOfChannel() string {
	switch c.sys.Refunds.Channel.(type) {
	case *channel.Global:
		return "if it is about the signature, correct WXPAY_API_KEY (the APIv2 key) and WXPAY_SIGN_TYPE; else WXPAY_APPID, WXPAY_MCHID and what the text says"
	case *channel.WeCom:
		return "look the number up in WeCom's page of global error codes (document 90313)"
	case *channel.CloudBase, *channel.CloudPay:
		return "look at TCB_ENV, the credentials, and the log of the function in the environment"
	}
	return "do what the text says; then ask again"
}

// wecom looks at the token, which corpid and secret get, and at what it may be used for.
func (c *checker) wecom(ctx context.Context) []Result {
	const name = "WeCom token"
	e := c.ask(ctx)
	if e != nil && e.Unsent {
		return notAsked([]Result{problem(name, answer(e), c.remedy(e))}, refundQuery)
	}
	token := ok(name, "WeCom gives one for corpid and secret")
	if e != nil {
		return []Result{token, problem(refundQuery, answer(e), c.remedy(e))}
	}
	return []Result{token, ok(refundQuery, "WeCom answers, and shows no refund of a made-up number")}
}
