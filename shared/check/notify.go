package check

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"wxrefund/shared/channel"
	"wxrefund/shared/wxpay"
)

const notifyName = "notify URL"

const (
	dangerous = "DANGEROUS: whoever knows the address can say that a refund has arrived; take that program off the address and deploy notify there"
	// patience is how long WeChat Pay waits for an answer, and tardy what leaves too little of it.
	patience = 5 * time.Second
	tardy    = 2 * time.Second
)

// notifyURL posts to the address for notifications what WeChat Pay would never sign. The
// right answer to each is no; nothing there can be settled by any of it, whoever answers.
func (c *checker) notifyURL(ctx context.Context) []Result {
	var at string
	switch ch := c.sys.Refunds.Channel.(type) {
	case *channel.APIv3:
		at = ch.NotifyURL
	case *channel.Global:
		at = ch.NotifyURL
	default:
		return nil // the platform calls the function
	}
	if at == "" {
		return []Result{note(notifyName, "WXPAY_NOTIFY_URL is empty: notifications go where the merchant platform says, which cannot be seen from here", "set it, if that address is to be looked at")}
	}
	letters, err := c.letters()
	if err != nil {
		return []Result{problem(notifyName, line(err), "")}
	}
	all := c.address(ctx, at)
	var told []string
	var longest time.Duration
	for _, l := range letters {
		a, err := c.post(ctx, at, l)
		if err != nil {
			do := network(err, "WXPAY_NOTIFY_URL")
			if do == "" {
				do = "see that the function answers POST at this address"
			}
			return append(all, problem(notifyName, "no answer to "+l.name+": "+line(err), do))
		}
		if r, bad := a.judge(l.name); bad {
			return append(all, r)
		}
		if r, soon := expires(notifyName, a.tls); soon {
			all = append(all, r)
		}
		told, longest = append(told, fmt.Sprintf("%s (%s)", l.name, ms(a.took))), max(longest, a.took)
	}
	text := "it refuses " + strings.Join(told, ", ")
	if longest > tardy {
		return append(all, warning(notifyName, text, fmt.Sprintf("WeChat Pay waits %s, a cold start included: more memory for the function, or an instance that is kept ready", patience)))
	}
	return append(all, ok(notifyName, "%s", text))
}

// address says whether WeChat Pay can call an address at all.
func (c *checker) address(ctx context.Context, at string) []Result {
	u, err := url.Parse(at)
	if err != nil || c.played() { // a sandbox on this machine calls this machine
		return nil
	}
	const do = "set WXPAY_NOTIFY_URL to the public https address of the function notify"
	if u.Scheme != "https" {
		return []Result{problem(notifyName, "it is not https: refunds tell orders and amounts", do)}
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil // the call says it
	}
	for _, ip := range ips {
		switch {
		case ip.IsLoopback():
			return []Result{problem(notifyName, u.Hostname()+" is this machine, which WeChat Pay cannot reach", do)}
		case ip.IsPrivate() || ip.IsLinkLocalUnicast():
			return []Result{warning(notifyName, u.Hostname()+" is a private address, seen from here: WeChat Pay calls from the internet", "see that it is another one there")}
		}
	}
	return nil
}

// played reports whether the upstream is played by a sandbox on this machine.
func (c *checker) played() bool {
	u, err := url.Parse(strings.TrimSpace(c.Getenv("WXPAY_BASE_URL")))
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// A letter is something that is no notification.
type letter struct {
	name   string
	header http.Header
	body   []byte
}

// letters are what a receiver must refuse, each nearer to a real one than the one before.
func (c *checker) letters() ([]letter, error) {
	ahead, _ := c.watch.offset()
	now := time.Now().Add(ahead) // a stale one would be refused for that
	body, err := json.Marshal(map[string]any{
		"id": "wxrefund-check", "create_time": now.Format(time.RFC3339), "event_type": "REFUND.SUCCESS", "resource_type": "encrypt-resource",
		"summary":  "check",
		"resource": map[string]string{"original_type": "refund", "algorithm": "AEAD_AES_256_GCM", "nonce": "000000000000", "associated_data": "refund", "ciphertext": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
	})
	if err != nil {
		return nil, err
	}
	serial := c.key
	if serial == "" {
		serial = strings.Repeat("0", 40)
	}
	// signed are the headers of a letter with that signature. One of no key's is refused as
	// one of another key's is: neither is the one that WeChat Pay's key would make.
	signed := func(signature string) http.Header {
		return http.Header{
			"Content-Type": {"application/json"}, "Wechatpay-Serial": {serial}, "Wechatpay-Nonce": {rand.Text()},
			"Wechatpay-Timestamp": {strconv.FormatInt(now.Unix(), 10)}, "Wechatpay-Signature": {signature},
			"Wechatpay-Signature-Type": {"WECHATPAY2-SHA256-RSA2048"},
		}
	}
	forged := make([]byte, 256) // as many as a key of 2048 bits makes
	_, _ = rand.Read(forged)    // never fails
	forged[0] = 0               // below any such key's modulus
	key, err := wxpay.ParseAPIKey(rand.Text() + "012345")
	if err != nil {
		return nil, err
	}
	sealed := key.SealReqInfo([]byte("<root><out_refund_no>check</out_refund_no><refund_status>SUCCESS</refund_status></root>"))
	m := c.sys.Refunds.Merchant
	v2 := wxpay.Fields{"return_code": "SUCCESS", "mch_id": m.MchID, "nonce_str": rand.Text(), "req_info": sealed}
	if m.SubMchID != "" {
		v2["sub_mch_id"] = m.SubMchID
	}
	return []letter{
		{"a bare POST", http.Header{"Content-Type": {"application/json"}}, []byte("{}")},
		{"a SIGNTEST probe", signed("WECHATPAY/SIGNTEST/" + rand.Text()), body},
		{"a forged signature", signed(base64.StdEncoding.EncodeToString(forged)), body},
		{"a v2 letter under a made-up key", http.Header{"Content-Type": {"text/xml"}}, v2.XML()},
	}, nil
}

// A said is an answer to a letter.
type said struct {
	status int
	header http.Header
	body   []byte
	took   time.Duration
	tls    *http.Response
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 16 << 10

func (c *checker) post(ctx context.Context, at string, l letter) (said, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(l.body))
	if err != nil {
		return said{}, err
	}
	r.Header = l.header
	r.Header.Set("User-Agent", "wxrefund-check")
	began := time.Now()
	resp, err := c.http.Do(r)
	if err != nil {
		return said{}, cause(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return said{resp.StatusCode, resp.Header, body, time.Since(began), resp}, err
}

// judge says what is wrong with an answer to a letter; not bad: it is what notify says.
func (a said) judge(to string) (r Result, bad bool) {
	page := ""
	if strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		page = " with a web page"
	}
	text := fmt.Sprintf("it answers %d%s to %s", a.status, page, to)
	is := func(do string) (Result, bool) { return problem(notifyName, text, do), true }
	switch {
	case a.status/100 == 2:
		return is(dangerous)
	case a.status == http.StatusUnauthorized && a.ours():
		return Result{}, false
	case a.status == http.StatusBadRequest && a.ours():
		return is("notify is there with the settings of another merchant: correct WXPAY_MCHID and WXPAY_SUB_MCHID there, or the address here")
	case a.status/100 == 3:
		return is("WeChat Pay follows no redirect: set WXPAY_NOTIFY_URL to the address that it leads to")
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		return is("the answer is not notify's: what stands before it (a gateway that wants a login, a firewall) must let WeChat Pay through")
	case a.status == http.StatusNotFound:
		return is("nothing is there: correct the path, or give the function notify its HTTP access")
	case a.status == http.StatusMethodNotAllowed:
		return is("another program is there, or a gateway that does not pass POST on: notify takes POST at any path")
	case a.status == http.StatusServiceUnavailable && a.ours():
		return is("notify cannot get WeChat Pay's keys: see the lines about keys, with the settings that notify has")
	case a.status == http.StatusServiceUnavailable:
		return is("the function's settings are wrong, or it does not run: its log names each setting")
	case a.status >= 500:
		return is("the function fails, or what stands before it gets no answer from it: see its log")
	}
	return is("the answer is not notify's: deploy notify there, or correct WXPAY_NOTIFY_URL")
}

// ours reports whether an answer is notify's no.
func (a said) ours() bool {
	var no struct{ Code string }
	if json.Unmarshal(a.body, &no) == nil && no.Code == "FAIL" {
		return true
	}
	f, err := wxpay.ParseFields(a.body, "xml")
	return err == nil && f["return_code"] == "FAIL"
}
