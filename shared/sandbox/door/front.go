package door

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"

	"wxrefund/shared/sandbox/world"
)

// What nginx, which the real host runs, says of client certificates. It answers with
// 400 in its own name; 495 and 496 are its numbers for the two in its configuration.
const (
	certificateMissing = "No required SSL certificate was sent"
	certificateWrong   = "The SSL certificate error"
)

// page is nginx's for an error, as merchants have quoted it (binarywang/
// weixin-java-pay-demo#60).
const page = "<html>\r\n<head><title>400 %[1]s</title></head>\r\n<body bgcolor=\"white\">\r\n" +
	"<center><h1>400 Bad Request</h1></center>\r\n<center>%[1]s</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"

// Front is the web server before the doors. It refuses who shows a certificate that is
// not the merchant's, whatever is asked for, as nginx does wherever certificates are
// optional. And it asks the doors themselves about paths like //pay/refundquery, which
// the mux would redirect: no real host does, and a client's signature would not hold.
func Front(w *world.World, mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			tunnel(w, out, r)
			return
		}
		if wrongCertificate(w, r.TLS) {
			refuseCertificate(w, out, r, w.NextRequestID(), certificateWrong)
			return
		}
		if p := r.URL.EscapedPath(); path.Clean("/"+p) != p || r.RequestURI == "*" {
			first, _, _ := strings.Cut(strings.Trim(path.Clean("/"+r.URL.Path), "/"), "/")
			u := *r.URL
			u.Path, u.RawPath = path.Join("/", first, "-"), "" // there is nothing at any door
			r = r.WithContext(r.Context())
			r.URL, r.RequestURI = &u, u.Path
		}
		mux.ServeHTTP(out, r)
	})
}

// Certificate tells whether a connection shows the merchant's certificate, which some
// paths demand; if not, it has answered as the web server does, before WeChat Pay sees
// anything. Over plain HTTP nobody can show one.
func Certificate(w *world.World, out http.ResponseWriter, x *Exchange) bool {
	r := x.Request
	switch {
	case wrongCertificate(w, r.TLS):
		refuseCertificate(w, out, r, x.ID, certificateWrong)
	case r.TLS == nil || len(r.TLS.PeerCertificates) == 0:
		refuseCertificate(w, out, r, x.ID, certificateMissing)
	default:
		return x.Check("certificate", true, "the merchant's client certificate")
	}
	return false
}

// wrongCertificate tells whether a connection shows a certificate that is not the
// merchant's. That the client has its key has been seen to by the listener.
func wrongCertificate(w *world.World, c *tls.ConnectionState) bool {
	return c != nil && len(c.PeerCertificates) > 0 && !bytes.Equal(c.PeerCertificates[0].Raw, w.Keys.Merchant.Cert.Raw)
}

func refuseCertificate(w *world.World, out http.ResponseWriter, r *http.Request, id, why string) {
	record := world.RecordOf(r.Context())
	record.Check("certificate", false, why)
	record.Refuse(strconv.Itoa(http.StatusBadRequest))
	h := out.Header()
	h.Set("Server", "nginx")
	h.Set("Content-Type", "text/html")
	h.Set("Connection", "close") // as nginx: who has shown none will show none here
	Wrote(w, r, id, http.StatusBadRequest, world.UpstreamFault{})
	out.WriteHeader(http.StatusBadRequest)
	_, _ = fmt.Fprintf(out, page, why) // the client may have gone; that is its affair
}
