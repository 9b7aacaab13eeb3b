package check_test

import (
	"testing"

	"wxrefund/shared/check"
	"wxrefund/shared/sandbox/world"
)

// On every channel, and for every kind of merchant of APIv3, a deployment that is right has
// no problem and no warning, and each thing has its line.
func TestARightDeploymentHasNoProblem(t *testing.T) {
	everywhere := []string{"settings", "access", "ledger", "ledger schema", "ledger speed", "ledger merchant", "timer", "clock", "refund query"}
	for _, c := range []struct {
		channel, merchant string
		proves            []string
		notes             []string // what cannot be proved
	}{
		{"apiv3", world.MerchantCertificate, []string{"merchant key", "APIv3 key", "platform certificates", "notify URL"}, nil},
		{"apiv3", "switching", []string{"merchant key", "APIv3 key", "platform certificates", "public key", "notify URL"}, nil},
		{"apiv3", world.MerchantPublicKey, []string{"merchant key", "public key", "notify URL"}, []string{"APIv3 key"}},
		{"cloudbase", "", []string{"gateway"}, nil},
		{"cloudpay", "", []string{"gateway"}, nil},
		{"global", "", []string{"client certificate", "mutual TLS", "notify URL"}, nil},
		{"wecom", "", []string{"WeCom token"}, nil},
	} {
		t.Run(c.channel+" "+c.merchant, func(t *testing.T) {
			d := deploy(t, c.channel, c.merchant)
			for range 2 { // the second time the ledger is in use
				got := d.check(nil)
				t.Logf("\n%s", show(got))
				for _, name := range append(everywhere, c.proves...) {
					if r := find(got, name); len(r) != 1 || r[0].Status != check.OK {
						t.Errorf("%s: got %+v, want one line that is ok", name, r)
					}
				}
				for _, r := range got {
					if r.Status == check.Problem || r.Status == check.Warning {
						t.Errorf("got %+v", r)
					}
				}
				for _, name := range c.notes {
					if r := find(got, name); len(r) != 1 || r[0].Status != check.Note || r[0].Do == "" {
						t.Errorf("%s: got %+v, want a note that says what to do", name, r)
					}
				}
				if check.Problems(got) != 0 {
					t.Error("Problems() is not 0")
				}
			}
		})
	}
}
