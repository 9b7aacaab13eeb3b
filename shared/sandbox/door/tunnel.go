package door

import (
	"io"
	"net"
	"net/http"
	"net/url"

	"wxrefund/shared/sandbox/world"
)

// tunnel lets clients in whose host is fixed: with HTTPS_PROXY they ask for a connection
// to the real one and get one to the TLS side here, which has its names. It leads nowhere
// else, so it is nobody's way out.
func tunnel(w *world.World, out http.ResponseWriter, r *http.Request) {
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil || port != "443" || !w.Plays(host) {
		http.Error(out, "this proxy leads to WeChat's hosts as they are played here, port 443, and not to "+r.Host, http.StatusForbidden)
		return
	}
	there, err := url.Parse(w.URLs().WeChatTLS)
	if err != nil {
		http.Error(out, "there is no TLS side", http.StatusBadGateway)
		return
	}
	to, err := new(net.Dialer).DialContext(r.Context(), "tcp", there.Host)
	if err != nil {
		http.Error(out, "the TLS side does not listen", http.StatusBadGateway)
		return
	}
	defer to.Close()
	from, rest, err := http.NewResponseController(out).Hijack()
	if err != nil {
		http.Error(out, "there is no connection to hand over", http.StatusBadGateway)
		return
	}
	defer from.Close()
	if _, err := io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	w.Log.Debug("tunnel", "host", host)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(from, to)
		_ = from.Close() // which ends the other direction, too
	}()
	_, _ = io.Copy(to, rest) // ends when one of the two hangs up
	_ = to.Close()
	<-done
}
