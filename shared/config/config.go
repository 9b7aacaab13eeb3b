package config

import (
	"context"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"wxrefund/shared/channel"
	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// A System is what the deployables run on.
type System struct {
	Refunds *refund.Service
	Keys    *wxpay.Keyring // verifies what WeChat Pay sends
	Secret  wxpay.APIv3Key // opens what its notifications seal
	close   func() error
}

// Close releases the ledger.
func (s *System) Close() error { return s.close() }

// Load reads the settings and opens the ledger. An error names every variable
// that is missing or malformed.
func Load(ctx context.Context, getenv func(string) string, log *slog.Logger) (*System, error) {
	r := &reader{getenv: getenv}
	channels := channels()
	name := r.oneOf("WXPAY_CHANNEL", "apiv3", slices.Sorted(maps.Keys(channels))...)
	var sys System
	sys.Refunds = &refund.Service{Policy: policy(r), Pace: r.duration("REFUND_PACE"), Log: log}
	if build, ok := channels[name]; ok {
		build(r, &sys)
	}
	r.oneOf("LOG_LEVEL", "info", "debug", "info", "warn", "error")
	url := ledgerURL(r)
	if err := r.problems(); err != nil {
		return nil, err
	}
	store, err := ledger.Open(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("LEDGER_URL: %w", err)
	}
	sys.Refunds.Ledger, sys.close = store, store.Close
	return &sys, nil
}

// channels is the table of upstream systems: each reads its own variables.
func channels() map[string]func(*reader, *System) {
	return map[string]func(*reader, *System){
		"apiv3": apiv3,
	}
}

func apiv3(r *reader, sys *System) {
	merchant := refund.Merchant{MchID: r.required("WXPAY_MCHID"), SubMchID: r.get("WXPAY_SUB_MCHID")}
	client := &wxpay.Client{
		Signer: &wxpay.Signer{
			MchID:    merchant.MchID,
			SerialNo: r.required("WXPAY_SERIAL_NO"),
			Key:      parsed(r, "WXPAY_PRIVATE_KEY", r.requiredPEM, wxpay.ParsePrivateKey),
		},
	}
	if base := r.url("WXPAY_BASE_URL"); base != "" {
		client.Hosts = []string{base}
	}
	sys.Secret = parsed(r, "WXPAY_APIV3_KEY", r.required, wxpay.ParseAPIv3Key)
	sys.Keys = keyring(r, client, sys.Secret)
	client.Keys = sys.Keys
	sys.Refunds.Merchant = merchant
	sys.Refunds.Channel = &channel.APIv3{
		Client:    client,
		SubMchID:  merchant.SubMchID,
		NotifyURL: r.url("WXPAY_NOTIFY_URL"),
	}
}

// keyring trusts the WeChat Pay public key where there is one, and in any case
// the platform certificates that WeChat Pay lists: while a merchant is moved from
// the one to the other, messages are signed by either.
func keyring(r *reader, client *wxpay.Client, secret wxpay.APIv3Key) *wxpay.Keyring {
	public := map[string]*rsa.PublicKey{}
	id, pem := r.get("WXPAY_PUBLIC_KEY_ID"), r.pem("WXPAY_PUBLIC_KEY")
	switch {
	case id == "" && pem == "":
	case id == "":
		r.problem("WXPAY_PUBLIC_KEY_ID", "is missing beside WXPAY_PUBLIC_KEY")
	case pem == "":
		r.problem("WXPAY_PUBLIC_KEY", "is missing beside WXPAY_PUBLIC_KEY_ID")
	default:
		public[id] = parsed(r, "WXPAY_PUBLIC_KEY", r.pem, wxpay.ParsePublicKey)
	}
	return wxpay.NewKeyring(public, func(ctx context.Context) ([]wxpay.Certificate, error) {
		return client.Certificates(ctx, secret)
	})
}

func policy(r *reader) refund.Policy {
	return refund.Policy{Operators: r.list("REFUND_OPERATORS"), MaxFen: r.fen("REFUND_MAX_FEN")}
}
