package config

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/channel"
	"wxrefund/shared/cloudbase"
	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
	"wxrefund/shared/secret"
	"wxrefund/shared/wxpay"
)

// A System is what the deployables run on.
type System struct {
	Refunds *refund.Service
	Keys    *wxpay.Keyring // verifies WeChat Pay's APIv3 notifications; empty if the channel has none
	Secret  wxpay.APIv3Key // opens what they seal
	APIKey  wxpay.APIKey   // opens v2's; the zero value if there is none

	// Gateway is CloudBase's, through which the channel refunds or functions are told; nil: neither.
	Gateway *cloudbase.Gateway

	close func() error
}

// Close releases the ledger.
func (s *System) Close() error { return s.close() }

// openTime bounds how long the ledger may take to open.
const openTime = 2 * time.Second

// Load reads the settings and opens the ledger. An error names every variable
// that is missing, malformed or misspelt, the ledger's included. names are those of
// variables that getenv knows and the process has not.
func Load(ctx context.Context, getenv func(string) string, log *slog.Logger, names ...string) (*System, error) {
	r := &reader{getenv: getenv}
	sys, url := r.all(log, names)
	if url == "" {
		return nil, r.problems()
	}
	// WeChat Pay waits five seconds for an answer, a cold start included.
	openCtx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	store, err := ledger.Open(openCtx, url, ledger.WithCredentials(r.credentials()))
	if err != nil {
		r.found = append(r.found, fmt.Errorf("LEDGER_URL: %w", err))
		return nil, r.problems()
	}
	if err := r.problems(); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	sys.Refunds.Ledger, sys.close = store, store.Close
	// SQLite is open by now. A server is first spoken to by the first call that needs
	// it, which finds out then.
	if strings.HasPrefix(url, "sqlite:") {
		if err := sys.Refunds.Bind(openCtx); err != nil && !errors.Is(err, refund.ErrOtherChannel) && !errors.Is(err, refund.ErrClosed) { // reconcile may mend the first; the second can be looked at
			return nil, errors.Join(err, store.Close())
		}
	}
	return sys, nil
}

// Prepare does what [Load] does short of the ledger, whose URL it returns: for those who
// want to know what becomes of opening it. An error names the same variables, a malformed
// URL of a ledger too, and a private key whose numbers do not belong together, which to a
// function the first signature tells.
func Prepare(ctx context.Context, getenv func(string) string, log *slog.Logger, names ...string) (sys *System, ledgerURL string, err error) {
	r := &reader{getenv: getenv, thorough: true}
	sys, ledgerURL = r.all(log, names)
	if err := r.parseLedger(ctx, ledgerURL); err != nil {
		return nil, "", err
	}
	if err := r.problems(); err != nil {
		return nil, "", err
	}
	sys.close = func() error { return nil }
	return sys, ledgerURL, nil
}

// Check says what [Load] would say of settings with which a function is deployed to
// some other machine: it neither connects to the ledger nor looks at a file that a
// setting names. Of what package host reads it looks at the flags alone.
func Check(ctx context.Context, settings map[string]string) error {
	r := &reader{getenv: func(name string) string { return settings[name] }, elsewhere: true, thorough: true}
	_, url := r.system(nil)
	r.bool("REFUND_TRUST_FUNCTIONS")
	r.bool("TRUST_WX_HEADERS")
	r.environment("TCB_ENV", r.get("TCB_ENV"))
	r.misspelt(slices.Collect(maps.Keys(settings)))
	if !strings.Contains(url, "tls_ca=") && !strings.Contains(url, "sslrootcert=") {
		if err := r.parseLedger(ctx, url); err != nil {
			return err
		}
	}
	return r.problems()
}

// parseLedger finds what is malformed in the URL of a ledger, "" aside, and connects to
// nothing: a server is spoken to by the first call, which is not made. A file would be
// made, so that of SQLite the path alone is looked at.
func (r *reader) parseLedger(ctx context.Context, url string) error {
	if url == "" || strings.HasPrefix(url, "sqlite:") && url != "sqlite:" {
		return nil
	}
	store, err := ledger.Open(ctx, url, ledger.WithCredentials(r.credentials()))
	if err != nil {
		r.found = append(r.found, fmt.Errorf("LEDGER_URL: %w", err))
		return nil
	}
	return store.Close()
}

// all reads all settings, and finds those that are misspelt, among them names that the
// process has not.
func (r *reader) all(log *slog.Logger, names []string) (sys *System, ledger string) {
	sys, ledger = r.system(log)
	// Names cannot be asked of getenv; those of the process are the ones that it knows.
	r.misspelt(append(environ(), names...))
	return sys, ledger
}

// system reads all settings. The system lacks the ledger, whose URL is "" if nothing
// can be opened by it.
func (r *reader) system(log *slog.Logger) (sys *System, ledger string) {
	channels := channels()
	name := r.oneOf("WXPAY_CHANNEL", "apiv3", slices.Sorted(maps.Keys(channels))...)
	sys = &System{Keys: wxpay.NewKeyring(nil, nil)}
	sys.Refunds = &refund.Service{Policy: policy(r), Pace: pace(r), Log: log}
	sys.APIKey = either(pair(r, "WXPAY_API_KEY", twoKeys(r.get("WXPAY_API_KEY")), wxpay.ParseAPIKey))
	if build, ok := channels[name]; ok {
		build(r, sys)
	}
	orders(r, sys.Refunds)
	sys.Refunds.Subscribers = subscribers(r)
	sys.Gateway = r.gateway
	sys.Refunds.Alerters, sys.Refunds.WaitFunds = alerters(r), r.bool("REFUND_WAIT_FUNDS")
	sys.Refunds.AppIDs = appIDs(r)
	sys.Refunds.NoBill = r.oneOf("RECONCILE_BILL", "on", "on", "off") == "off"
	r.oneOf("LOG_LEVEL", "info", "debug", "info", "warn", "error")
	// Package host reads these, to which any text is a token.
	for _, name := range []string{"REFUND_CLIENT_SOURCES", "REFUND_SERVER_SOURCES", "REFUND_SERVER_TOKEN"} {
		r.text(name)
	}
	return sys, ledgerURL(r)
}

// appIDs are those of the programs whose refunds these are; a bill names each refund's.
func appIDs(r *reader) (ids []string) {
	for _, name := range []string{"WXPAY_APPID", "WXPAY_SUB_APPID"} {
		if id := r.get(name); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// environ lists the names of the process's variables.
func environ() []string {
	names := os.Environ()
	for i, v := range names {
		names[i], _, _ = strings.Cut(v, "=")
	}
	return names
}

// channels is the table of upstream systems: each reads its own variables.
func channels() map[string]func(*reader, *System) {
	return map[string]func(*reader, *System){
		"apiv3":     apiv3,
		"cloudbase": cloudbaseModule,
		"cloudpay":  cloudpay,
		"global":    global,
		"wecom":     wecom,
	}
}

// merchant reads who a direct merchant or a service provider is.
func merchant(r *reader) refund.Merchant {
	return refund.Merchant{
		MchID:    r.merchant("WXPAY_MCHID", r.required("WXPAY_MCHID")),
		SubMchID: r.merchant("WXPAY_SUB_MCHID", r.get("WXPAY_SUB_MCHID")),
	}
}

func apiv3(r *reader, sys *System) {
	merchant := merchant(r)
	var client *wxpay.Client
	client, sys.Secret = apiv3Client(r, merchant)
	sys.Keys = client.Keys
	sys.Refunds.Merchant = merchant
	sys.Refunds.Channel = &channel.APIv3{
		Client:    client,
		SubMchID:  merchant.SubMchID,
		NotifyURL: r.url("WXPAY_NOTIFY_URL"),
		Log:       sys.Refunds.Log,
	}
}

// apiv3Client reads a merchant's keys for APIv3.
func apiv3Client(r *reader, merchant refund.Merchant) (*wxpay.Client, wxpay.APIv3Key) {
	private := parsed(r, "WXPAY_PRIVATE_KEY", r.requiredPEM, r.privateKey)
	client := &wxpay.Client{
		Signer: &wxpay.Signer{
			MchID:    merchant.MchID,
			SerialNo: r.serial("WXPAY_SERIAL_NO", r.required("WXPAY_SERIAL_NO")),
			Key:      private,
		},
		Hosts: r.hosts(),
	}
	secret := either(pair(r, "WXPAY_APIV3_KEY", twoKeys(r.required("WXPAY_APIV3_KEY")), wxpay.ParseAPIv3Key))
	public := publicKeys(r)
	if private != nil && slices.ContainsFunc(public, func(k publicKey) bool { return k.key.Equal(private.Public()) }) {
		r.problem("WXPAY_PUBLIC_KEY", "is the merchant's own, of WXPAY_PRIVATE_KEY: it must be WeChat Pay's, from the merchant platform")
	}
	client.Keys = keyring(public, client, secret)
	return client, secret
}

// privateKey reads a key. Of a function that starts, the first signature finds out whether its
// numbers belong together: who refunds waits for that, not who is denied.
func (r *reader) privateKey(text string) (*wxpay.PrivateKey, error) {
	key, err := wxpay.ParsePrivateKey(text)
	if err == nil && r.thorough {
		err = key.Check()
	}
	return key, err
}

// cloudbaseModule refunds without any key of the merchant's, and knows no bill. With keys
// for APIv3 beside it there are bills: a certificate or its private key says that they are
// wanted, and then all that APIv3 needs has to be there.
func cloudbaseModule(r *reader, sys *System) {
	merchant := merchant(r)
	sys.Refunds.Merchant = merchant
	c := &channel.CloudBase{Gateway: gateway(r), Log: sys.Refunds.Log, SubMchID: merchant.SubMchID}
	if r.raw("WXPAY_SERIAL_NO") != "" || r.raw("WXPAY_PRIVATE_KEY") != "" {
		c.Bills, _ = apiv3Client(r, merchant)
	}
	sys.Refunds.Channel = c
}

func cloudpay(r *reader, sys *System) {
	merchant := r.merchant("WXPAY_SUB_MCHID", r.required("WXPAY_SUB_MCHID"))
	sys.Refunds.Merchant = refund.Merchant{MchID: r.merchant("WXPAY_MCHID", r.get("WXPAY_MCHID")), SubMchID: merchant}
	sys.Refunds.TrustRelay = r.bool("CLOUDPAY_TRUST_RELAY")
	sys.Refunds.Channel = &channel.CloudPay{Gateway: gateway(r), SubMchID: merchant, Callback: r.get("CLOUDPAY_CALLBACK_FUNCTION"), Log: sys.Refunds.Log}
}

func global(r *reader, sys *System) {
	merchant := merchant(r)
	r.required("WXPAY_API_KEY")
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	tlsConfig.Certificates = clientCertificate(r)
	tlsConfig.RootCAs = parsed(r, "WXPAY_CA_CERT", r.pem, wxpay.ParseCertPool)
	sys.Refunds.Merchant = merchant
	sys.Refunds.Channel = &channel.Global{
		HTTP:      wxpay.NewHTTPClient(tlsConfig),
		Hosts:     r.hosts(),
		Key:       sys.APIKey,
		SignType:  wxpay.SignType(r.oneOf("WXPAY_SIGN_TYPE", string(wxpay.SignMD5), string(wxpay.SignMD5), string(wxpay.SignHMACSHA256))),
		AppID:     r.required("WXPAY_APPID"),
		MchID:     merchant.MchID,
		SubAppID:  r.get("WXPAY_SUB_APPID"),
		SubMchID:  merchant.SubMchID,
		NotifyURL: r.url("WXPAY_NOTIFY_URL"),
		Log:       sys.Refunds.Log,
	}
}

// clientCertificate reads what we show in mutual TLS.
func clientCertificate(r *reader) []tls.Certificate {
	const certName, keyName = "WXPAY_CLIENT_CERT", "WXPAY_CLIENT_KEY"
	whole := len(r.found)
	parsed(r, certName, r.requiredPEM, wxpay.ParseCertificate)
	parsed(r, keyName, r.requiredPEM, wxpay.ParsePrivateKey)
	cert, key := r.pem(certName), r.pem(keyName)
	if len(r.found) > whole || r.away(cert) || r.away(key) {
		return nil
	}
	pair, err := wxpay.ParseClientCertificate(cert, key)
	if err != nil {
		r.problem(certName, "and "+keyName+" do not belong together")
	}
	return []tls.Certificate{pair}
}

func wecom(r *reader, sys *System) {
	merchant := r.merchant("WXPAY_MCHID", r.required("WXPAY_MCHID"))
	sys.Refunds.Merchant = refund.Merchant{MchID: merchant}
	sys.Refunds.Channel = &channel.WeCom{
		HTTP:       wxpay.NewHTTPClient(nil),
		Host:       r.url("WXPAY_BASE_URL"),
		CorpID:     r.required("WECOM_CORPID"),
		CorpSecret: secret.Text(r.required("WECOM_CORPSECRET")),
		MchID:      merchant,
		AppID:      r.required("WXPAY_APPID"),
		Log:        sys.Refunds.Log,
	}
}

// keyring trusts the WeChat Pay public keys where there are any, and in any case
// the platform certificates that WeChat Pay lists: while a merchant is moved from
// the one to the other, messages are signed by either. Of two public keys the first
// is asked for.
func keyring(all []publicKey, client *wxpay.Client, secret wxpay.APIv3Key) *wxpay.Keyring {
	public := map[string]*rsa.PublicKey{}
	for _, k := range all {
		public[k.id] = k.key
	}
	ring := wxpay.NewKeyring(public, func(ctx context.Context) ([]wxpay.Certificate, error) {
		return client.Certificates(ctx, secret)
	})
	if len(all) > 0 {
		ring.Prefer(all[0].id)
	}
	return ring
}

// pace is the least time between two refunds of one order. Unset, it is the
// channel's own, for which the service takes zero; an explicit zero is less than that.
func pace(r *reader) time.Duration {
	d := r.duration("REFUND_PACE")
	if d == 0 && r.get("REFUND_PACE") != "" {
		return -1
	}
	return d
}
