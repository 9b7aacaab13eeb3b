package wxpay

import "errors"

// Why a message was refused. Errors of this package wrap one of these; test
// them with [errors.Is]. Their texts are fit for a log: they hold no body, no
// Authorization header and no key.
var (
	// ErrHeader: a Wechatpay-* or Authorization header is missing, occurs twice, or is malformed.
	ErrHeader = errors.New("wxpay: bad header")

	// ErrStale: the timestamp is 300 seconds or more from now, in the past or in the future.
	ErrStale = errors.New("wxpay: timestamp too far from now")

	// ErrProbe: the signature is one of WeChat Pay's probes, which exist to find
	// out who does not verify. Refuse it like any bad signature; count it apart.
	ErrProbe = errors.New("wxpay: signature is a probe")

	// ErrUnknownKey: we hold no key of that serial and know that there is none to
	// be had. An error of [Keyring] that does not wrap this, nor any other of
	// these, means that we could not find out.
	ErrUnknownKey = errors.New("wxpay: unknown key")

	// ErrNoCertificates: WeChat Pay says that this merchant has no platform
	// certificates, so it must be told the WeChat Pay public key.
	ErrNoCertificates = errors.New("wxpay: this merchant has no platform certificates; " +
		"configure the WeChat Pay public key and its ID (merchant platform, API security)")

	// ErrSignature: the signature does not verify, has not even the form of one, or
	// does not cover what it must.
	ErrSignature = errors.New("wxpay: signature does not verify")

	// ErrOpen: a sealed resource or a req_info cannot be opened, because of its form
	// or because the key is another one.
	ErrOpen = errors.New("wxpay: cannot open sealed resource")

	// ErrFormat: JSON, XML, PEM, a key, a certificate or a bill that is not what it should be.
	ErrFormat = errors.New("wxpay: malformed")

	// ErrTooLarge: a reply of more than 1 MiB, a v2 message of more than 64 KiB, or a bill
	// or a line of one that is longer than [Bill] says.
	ErrTooLarge = errors.New("wxpay: too large")

	// ErrElsewhere: a download_url does not lead to where bills are. Nothing was signed
	// or sent.
	ErrElsewhere = errors.New("wxpay: download_url leads elsewhere")

	// ErrUnsent: the request certainly did not leave this machine, so it may be
	// made again without a thought.
	ErrUnsent = errors.New("wxpay: request not sent")
)
