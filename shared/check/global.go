package check

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"time"

	"wxrefund/shared/channel"
)

// global looks at the client certificate, which refunds need and questions do not, and
// asks a question, which proves the APIv2 key and the way of signing both ways.
func (c *checker) global(ctx context.Context, ch *channel.Global) []Result {
	return []Result{c.clientCertificate(), c.handshake(ctx, ch), c.query(ctx)}
}

const clientCert = "client certificate"

// clientCertificate says whose it is and until when.
func (c *checker) clientCertificate() Result {
	cert := c.cert
	text := fmt.Sprintf("of %s, valid until %s", cert.Subject.CommonName, cert.NotAfter.Format(time.DateOnly))
	const renew = "get a new one (merchant platform, account centre, API security), and set WXPAY_CLIENT_CERT and WXPAY_CLIENT_KEY"
	switch now := time.Now(); {
	case now.After(cert.NotAfter):
		return problem(clientCert, text+": it has ended", renew)
	case now.Before(cert.NotBefore):
		return problem(clientCert, text+", and not before "+cert.NotBefore.Format(time.DateOnly), "wait, or set this machine's clock")
	case cert.Subject.CommonName != c.sys.Refunds.Merchant.MchID:
		return warning(clientCert, text+", which is not WXPAY_MCHID "+c.sys.Refunds.Merchant.MchID, "take the merchant's own apiclient_cert.pem and apiclient_key.pem")
	case time.Until(cert.NotAfter) < ending:
		return warning(clientCert, text, renew)
	}
	return ok(clientCert, "%s", text)
}

// handshake shows the certificate where refunds go, and asks for nothing there.
func (c *checker) handshake(ctx context.Context, ch *channel.Global) Result {
	const name = "mutual TLS"
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	reply, err := ch.Knock(ctx)
	switch {
	case err != nil:
		do := network(err, c.base())
		if do == "" {
			do = "see that WXPAY_CLIENT_CERT is the merchant's, and WXPAY_CA_CERT empty but for the sandbox"
		}
		return problem(name, line(err), do)
	case reply.Status == http.StatusBadRequest && strings.Contains(string(reply.Body), "SSL certificate"):
		return problem(name, "WeChat Pay does not take the client certificate", "take the merchant's own apiclient_cert.pem and apiclient_key.pem, of this merchant number, not withdrawn")
	}
	return ok(name, "WeChat Pay takes the client certificate where refunds go")
}

// leaf is the certificate that a client shows; nil: none.
func leaf(client *http.Client) *x509.Certificate {
	t, ok := client.Transport.(*http.Transport)
	if !ok || t.TLSClientConfig == nil || len(t.TLSClientConfig.Certificates) == 0 {
		return nil
	}
	return t.TLSClientConfig.Certificates[0].Leaf
}
