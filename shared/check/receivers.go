package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// receivers looks at who is told of refunds and of alarms.
func (c *checker) receivers(ctx context.Context) (all []Result) {
	if functions := c.told(); len(functions) > 0 {
		all = append(all, note("subscribers", "whether the functions "+strings.Join(functions, ", ")+" are there cannot be asked without calling them", "see that they are in environment "+c.sys.Gateway.EnvID))
	}
	if at := strings.TrimSpace(c.Getenv("NOTIFY_WEBHOOK_URL")); at != "" {
		all = append(all, c.reach(ctx, "webhook", "NOTIFY_WEBHOOK_URL", at))
	}
	for _, at := range strings.Fields(c.Getenv("ALERT_URL")) {
		all = append(all, c.reach(ctx, "alerts", "ALERT_URL", root(at)))
	}
	return all
}

// root is where an address begins. What follows may be a robot's secret, and need not be
// sent to see whether its host can be reached.
func root(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return "" // of which nothing may be shown
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}).String()
}

// reach makes a connection and asks with HEAD, which tells nobody anything. That
// there is an answer is all that counts.
func (c *checker) reach(ctx context.Context, name, setting, at string) Result {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	do := "correct " + setting
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, at, nil)
	if err != nil {
		return problem(name, "the address cannot be used", do)
	}
	r.Header.Set("User-Agent", "wxrefund-check")
	host := r.URL.Host // the rest of the address may be known to its owner alone
	resp, err := c.http.Do(r)
	if err != nil {
		err = cause(err)
		if of := network(err, setting); of != "" {
			do = of
		}
		return problem(name, host+" cannot be reached: "+line(err), do)
	}
	resp.Body.Close()
	if r, soon := expires(name, resp); soon {
		return r
	}
	switch text := fmt.Sprintf("%s answers (%d to a HEAD)", host, resp.StatusCode); {
	case resp.StatusCode >= 500:
		return warning(name, text, "see why; what cannot be delivered is tried again")
	case resp.StatusCode/100 == 3:
		return warning(name, text, "no redirect is followed: set "+setting+" to the address that it leads to, if a POST is led away, too")
	default:
		return ok(name, "%s", text)
	}
}

// cause is an error of net/http without the address, which may be known to its owner alone.
func cause(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// expires says when the certificate of whoever has answered ends, if that is soon.
func expires(name string, resp *http.Response) (r Result, soon bool) {
	if resp.TLS == nil || len(resp.TLS.PeerCertificates) == 0 {
		return Result{}, false
	}
	end := resp.TLS.PeerCertificates[0].NotAfter
	if time.Until(end) > ending {
		return Result{}, false
	}
	return warning(name, "the certificate of "+resp.Request.URL.Host+" ends on "+end.Format(time.DateOnly), "renew it"), true
}
