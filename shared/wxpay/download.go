package wxpay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	fetchIdle = 30 * time.Second // how long nothing may come of a file
	fetchTime = 10 * time.Minute // for a whole file, where ctx has no deadline

	billPath = "/v3/billdownload/" // what is above every bill's path
)

// A BillTicket says where a bill can be fetched, for a few minutes and once
// (docs/merchant/apis/bill-download/trade-bill/get-trade-bill.html).
type BillTicket struct {
	HashType  string `json:"hash_type"`  // SHA1; of the bill as it was issued, unpacked
	HashValue string `json:"hash_value"` // hexadecimal
	URL       string `json:"download_url"`
	Auth      string `json:"auth"` // of WeCom: the ready Authorization
}

// ParseBillTicket reads the answer of whoever issues bills. A fault is [ErrFormat].
func ParseBillTicket(body []byte) (BillTicket, error) {
	var t BillTicket
	if err := decodeJSON(body, &t, "bill ticket"); err != nil {
		return BillTicket{}, err
	}
	t.HashType, t.HashValue = strings.ToUpper(strings.ReplaceAll(t.HashType, "-", "")), strings.ToLower(t.HashValue)
	digits := map[string]int{"SHA1": 40, "SHA256": 64}[t.HashType]
	if digits == 0 || len(t.HashValue) != digits || strings.Trim(t.HashValue, "0123456789abcdef") != "" {
		return BillTicket{}, fmt.Errorf("%w bill ticket: its hash is none of SHA1 or SHA256", ErrFormat)
	}
	if t.URL == "" || len(t.URL) > 4096 {
		return BillTicket{}, fmt.Errorf("%w bill ticket: it has no download_url", ErrFormat)
	}
	return t, nil
}

// CheckBillURL is [ErrElsewhere] unless a download_url leads to one of the hosts, which
// are base URLs without a path, and there to where bills are. Whoever is asked for a bill
// gets a signature of ours: it is looked at before anything is signed. The URL itself is a
// secret, and in no error.
func CheckBillURL(text string, hosts []string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.User != nil || u.Fragment != "":
		return nil, fmt.Errorf("%w: it is malformed", ErrElsewhere)
	case !slices.ContainsFunc(hosts, func(host string) bool { return strings.TrimSuffix(host, "/") == u.Scheme+"://"+u.Host }):
		return nil, fmt.Errorf("%w: its host is not WeChat Pay's", ErrElsewhere)
	case !strings.HasPrefix(u.Path, billPath) || u.RawPath != "" || strings.Contains(u.Path, "/.") || strings.Contains(u.Path, "//"):
		return nil, fmt.Errorf("%w: its path is not that of a bill", ErrElsewhere)
	}
	return u, nil
}

// Download fetches a bill, the file as it comes, into w. The URL is a [BillTicket]'s; see
// [CheckBillURL]. WeChat Pay signs no file, so that the hash in the ticket has to be
// compared, which is up to the caller.
//
// A reply that is not 200 is a [Reply] too, and then nothing has been written. A call ends
// with ctx (without a deadline after ten minutes), when nothing has come for half a
// minute, and with [ErrTooLarge] beyond limit bytes.
func (c *Client) Download(ctx context.Context, from string, w io.Writer, limit int64) (Reply, error) {
	hosts := c.Hosts
	if len(hosts) == 0 {
		hosts = defaultHosts
	}
	u, err := CheckBillURL(from, hosts)
	if err != nil {
		return Reply{}, err
	}
	c.once.Do(c.prepare)
	authorization, err := c.Signer.Authorization(http.MethodGet, u.RequestURI(), nil)
	if err != nil {
		return Reply{}, fmt.Errorf("%w: %w", ErrUnsent, err)
	}
	ctx, cancel := withTimeout(ctx, fetchTime)
	defer cancel()
	req, err := c.request(ctx, u.Scheme+"://"+u.Host, http.MethodGet, u.RequestURI(), authorization, nil)
	if err != nil {
		return Reply{}, err
	}
	req.Header.Set("Accept", "*/*")
	return Fetch(c.http, req, w, limit)
}

// errIdle is why a fetch ended of which nothing came any more.
var errIdle = errors.New("wxpay: nothing came for half a minute")

// Fetch sends a request and writes the body of a reply with status 200 into w, as it
// comes; [Reply.Body] is empty then. Any other reply is read whole. It ends with the
// request's context, when nothing has come for half a minute, and with [ErrTooLarge]
// beyond limit bytes. Its errors are [Exchange]'s.
func Fetch(client *http.Client, req *http.Request, w io.Writer, limit int64) (Reply, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	defer cancel(nil)
	idle := time.AfterFunc(fetchIdle, func() { cancel(errIdle) })
	defer idle.Stop()
	ctx, stop := withTimeout(ctx, fetchTime)
	defer stop()
	resp, err := answered(client, req.WithContext(ctx))
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, ErrUnsent) {
		return Reply{}, fmt.Errorf("wxpay: no reply: %w", cause)
	} else if err != nil {
		return Reply{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return whole(resp, maxReply)
	}
	buf := make([]byte, 64<<10)
	for size := int64(0); ; {
		n, err := resp.Body.Read(buf)
		idle.Reset(fetchIdle)
		if size += int64(n); size > limit {
			return Reply{}, ErrTooLarge
		}
		if _, werr := w.Write(buf[:n]); werr != nil {
			return Reply{}, fmt.Errorf("wxpay: what came cannot be kept: %w", werr)
		}
		switch {
		case err == io.EOF:
			return Reply{Status: resp.StatusCode, Header: resp.Header}, nil
		case err != nil && context.Cause(ctx) != nil:
			return Reply{}, fmt.Errorf("wxpay: reply broke off: %w", context.Cause(ctx))
		case err != nil:
			return Reply{}, fmt.Errorf("wxpay: reply broke off: %w", err)
		}
	}
}
