package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/channel"
	"wxrefund/shared/wxpay"
)

// What APIv3's settings are about.
const (
	merchantKey  = "merchant key"
	apiv3Key     = "APIv3 key"
	publicKey    = "public key"
	certificates = "platform certificates"
)

// ending is how long before its end a certificate is worth a word.
const ending = 30 * 24 * time.Hour

// apiv3 proves the merchant's key and serial by a signed request for the platform
// certificates, the APIv3 key by what is sealed with it there, and WeChat Pay's public key
// by an echo that is signed with it.
func (c *checker) apiv3(ctx context.Context, ch *channel.APIv3) []Result {
	// Without our keyring the request names no public key, so that the answer is signed with
	// a certificate where the merchant has any.
	bare := &wxpay.Client{Signer: ch.Client.Signer, HTTP: ch.Client.HTTP, Hosts: ch.Client.Hosts}
	callCtx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	certs, err := bare.Certificates(callCtx, c.sys.Secret)
	all, on := c.certificates(ch, certs, err)
	if !on {
		key := publicKey
		if c.sys.Keys.Preferred() == "" {
			key = certificates
		}
		return notAsked(all, apiv3Key, key, refundQuery)
	}
	if c.sys.Keys.Preferred() != "" {
		r := c.publicKey(ctx, ch)
		if all = append(all, r); r.Status == Problem {
			return notAsked(all, refundQuery)
		}
	}
	if slices.ContainsFunc(all, func(r Result) bool { return r.Status == Problem }) {
		return notAsked(all, refundQuery)
	}
	return append(all, c.query(ctx))
}

// certificates says what the request for the platform certificates proves; on: the
// request itself has been taken.
func (c *checker) certificates(ch *channel.APIv3, certs []wxpay.Certificate, err error) (all []Result, on bool) {
	taken := ok(merchantKey, "WeChat Pay takes what it signs, for merchant %s under serial %s (when that certificate ends, only the merchant platform tells)", ch.Client.Signer.MchID, short(ch.Client.Signer.SerialNo))
	no, refused := errors.AsType[*wxpay.Refusal](err)
	switch {
	case err == nil:
		for _, cert := range certs {
			if now := time.Now(); !now.Before(cert.NotBefore) && !now.After(cert.NotAfter) {
				c.key = cert.SerialNo
			}
		}
		return []Result{taken, ok(apiv3Key, "it opens the platform certificates"), newest(certs)}, true
	case errors.Is(err, wxpay.ErrNoCertificates):
		c.key = c.sys.Keys.Preferred()
		all = []Result{taken, note(apiv3Key, "cannot be proved without a notification: this merchant has no platform certificates, and WeChat Pay seals nothing else",
			"watch the first refund: the alarm notification_unreadable says that the key is wrong")}
		if c.key == "" {
			all = append(all, problem(publicKey, "this merchant has no platform certificates, and WXPAY_PUBLIC_KEY is empty: no answer can be verified",
				"set WXPAY_PUBLIC_KEY_ID and WXPAY_PUBLIC_KEY (merchant platform, account centre, API security: WeChat Pay public key)"))
		}
		return all, true
	case errors.Is(err, wxpay.ErrOpen):
		return []Result{taken, problem(apiv3Key, "it has 32 bytes, and does not open the platform certificates",
			"correct WXPAY_APIV3_KEY (merchant platform, account centre, API security); after a change it takes some minutes to count")}, true
	case refused && no.Code == "SIGN_ERROR" && c.clockTells():
		return []Result{note(merchantKey, "WeChat Pay refuses what is signed by a wrong clock", "set the clock first")}, false
	case refused:
		return []Result{refusedKey(no, ch.Client.Signer)}, false
	case errors.Is(err, wxpay.ErrUnknownKey), errors.Is(err, wxpay.ErrStale), errors.Is(err, wxpay.ErrSignature), errors.Is(err, wxpay.ErrHeader):
		// All was opened before the signature was looked at.
		all = []Result{taken, ok(apiv3Key, "it opens the platform certificates")}
		switch {
		case c.clockTells():
			return append(all, note(certificates, "no answer can be verified by a wrong clock", "set the clock first")), false
		case errors.Is(err, wxpay.ErrUnknownKey) && c.sys.Keys.Preferred() != "":
			return all, true // signed with a public key already
		}
		return append(all, problem(certificates, "the list opens and its signature does not hold: "+line(err), "see what stands between this machine and WeChat Pay, a proxy perhaps")), false
	}
	do := network(err, c.base())
	if do == "" {
		do = "see what stands between this machine and WeChat Pay, and WXPAY_BASE_URL"
	}
	return []Result{problem("WeChat Pay", "no answer: "+line(err), do)}, false
}

// refusedKey says which of the merchant's settings WeChat Pay does not take.
func refusedKey(no *wxpay.Refusal, by *wxpay.Signer) Result {
	text := fmt.Sprintf("WeChat Pay refuses the request: %d %s %s", no.Status, no.Code, no.Message)
	do := "do what the text says"
	switch {
	case no.Code == "SIGN_ERROR" && no.Field == "signature":
		do = "WXPAY_PRIVATE_KEY is not the key of the certificate with serial " + short(by.SerialNo) + ": take apiclient_key.pem and the serial from the same download"
	case no.Code == "SIGN_ERROR" && strings.Contains(no.Message, "序列号"):
		do = "WXPAY_SERIAL_NO is not that of a certificate of merchant " + by.MchID + ": openssl x509 -in apiclient_cert.pem -noout -serial shows it"
	case no.Code == "SIGN_ERROR":
		do = "WXPAY_PRIVATE_KEY, WXPAY_SERIAL_NO and WXPAY_MCHID must be of one certificate; and the clock must be right"
	case remedies()[no.Code] != "":
		do = remedies()[no.Code]
	}
	return problem(merchantKey, strings.TrimSpace(text), do)
}

// newest says when the last of the platform certificates ends. WeChat Pay lists the next one
// in time, and it is fetched by itself.
func newest(certs []wxpay.Certificate) Result {
	var last time.Time
	for _, cert := range certs {
		if cert.NotAfter.After(last) {
			last = cert.NotAfter
		}
	}
	text := fmt.Sprintf("%d, the last one valid until %s", len(certs), last.Format(time.DateOnly))
	if time.Until(last) < ending {
		return warning(certificates, text, "on the merchant platform apply for the WeChat Pay public key, and set WXPAY_PUBLIC_KEY_ID and WXPAY_PUBLIC_KEY")
	}
	return ok(certificates, "%s", text)
}

// publicKey proves WeChat Pay's public key, that of the first of two.
func (c *checker) publicKey(ctx context.Context, ch *channel.APIv3) Result {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	id := c.sys.Keys.Preferred()
	client := &wxpay.Client{Signer: ch.Client.Signer, HTTP: ch.Client.HTTP, Hosts: ch.Client.Hosts, Keys: c.sys.Keys.PublicOnly()}
	err := client.Echo(ctx)
	if no, refused := errors.AsType[*wxpay.Refusal](err); refused && !no.Verified {
		// Not every merchant may have the self-test: any other signed answer proves it, too.
		uri := "/v3/refund/domestic/refunds/" + unknownNo()
		if ch.SubMchID != "" {
			uri += "?sub_mchid=" + url.QueryEscape(ch.SubMchID)
		}
		var reply wxpay.Reply
		if reply, err = client.Do(ctx, http.MethodGet, uri, nil); err == nil && !reply.Verified {
			return note(publicKey, fmt.Sprintf("cannot be proved: WeChat Pay answers /v3/security/echo with %d %s, and what it answers else is not signed", no.Status, no.Code),
				"watch the first refund, whose answer is signed")
		}
	} else if refused {
		err = nil // it says no, and has signed that
	}
	switch {
	case err == nil:
		c.key = id
		return ok(publicKey, "WeChat Pay signs with it under %s", short(id))
	case errors.Is(err, wxpay.ErrSignature):
		return problem(publicKey, "what WeChat Pay signs under "+short(id)+" does not verify with WXPAY_PUBLIC_KEY",
			"download the public key again (merchant platform, account centre, API security), and set it with the ID that stands beside it")
	case errors.Is(err, wxpay.ErrUnknownKey):
		return problem(publicKey, "asked to sign under "+short(id)+", WeChat Pay signs with another: "+line(err),
			"correct WXPAY_PUBLIC_KEY_ID; if it is right, the switch to the public key has not begun on the merchant platform")
	}
	do := network(err, c.base())
	if do == "" {
		do = "ask again; then do what the text says"
	}
	return problem(publicKey, line(err), do)
}

// short shows enough of a serial to find it.
func short(serial string) string {
	if len(serial) > 16 {
		return serial[:4] + "…" + serial[len(serial)-8:]
	}
	return serial
}
