package console

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
)

// Local refuses what does not come from this machine, or calls it by a name that is not
// its own; nil lets it in.
func Local(r *http.Request) *Refusal {
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !from.Addr().Unmap().IsLoopback() {
		return forbidden("only clients on this machine are served")
	}
	if !LoopbackHost(r.Host) {
		return forbidden("the Host header must be localhost or a loopback address")
	}
	return nil
}

// Stranger refuses all but programs on this machine and the page itself. A browser on
// this machine may be showing somebody else's page, which must not reach us either: not
// by a request across sites, and not by a host name of its own that it has made to
// point here.
func Stranger(r *http.Request) *Refusal {
	if no := Local(r); no != nil {
		return no
	}
	no := forbidden("browsers are not served from another site")
	if new(http.CrossOriginProtection).Check(r) != nil {
		return no
	}
	// The guard lets reading pass, since a browser does not show the answer to
	// another site. What is shown here is secret, so that is not relied on.
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "same-origin", "none":
	case "":
		if o := r.Header.Get("Origin"); o != "" {
			if u, err := url.Parse(o); err != nil || u.Host != r.Host {
				return no
			}
		}
	default:
		return no
	}
	return nil
}

// LoopbackHost tells whether a host, with or without a port, is this machine under a name
// that nobody else can have: localhost, or a loopback address.
func LoopbackHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if host == "localhost" {
		return true
	}
	if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
