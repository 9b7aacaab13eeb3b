package wxpay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
)

// Everything that holds a secret, logged and printed in every way.
func TestNothingPrintsASecret(t *testing.T) {
	key := newAPIv3Key(t)
	c := newClient("http://127.0.0.1:1")
	c.HTTP, c.Hosts = nil, nil
	values := map[string]any{
		"APIv3Key":           key,
		"*APIv3Key":          &key,
		"Signer":             *newSigner(),
		"*Signer":            newSigner(),
		"Platform":           *newPlatform(),
		"*Platform":          newPlatform(),
		"Keyring":            c.Keys,
		"*Client":            c,
		"struct":             struct{ K APIv3Key }{key},
		"unexported":         struct{ k APIv3Key }{key},
		"nested":             map[string]any{"a": []any{newSigner(), key, newPlatform()}},
		"RefundNotification": newRefundNotification(),
	}
	for name, v := range values {
		var out bytes.Buffer
		options := &slog.HandlerOptions{Level: slog.LevelDebug}
		slog.New(slog.NewTextHandler(&out, options)).Debug("text", "v", v)
		slog.New(slog.NewJSONHandler(&out, options)).Debug("json", "v", v)
		if name != "RefundNotification" { // whose fields are there to be encoded
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
			if b, err := json.Marshal(v); err == nil {
				out.Write(b)
			}
		}
		checkSecrets(t, name, out.String())
	}
}

// The test above finds what it looks for.
func TestCheckSecretsFinds(t *testing.T) {
	b, err := json.Marshal(merchantKey())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		string(b), fmt.Sprint(merchantKey().D), fmt.Sprintf("%x", merchantKey().D), fmt.Sprintf("%+v", *merchantKey()), apiV3Secret, fmt.Sprint([]byte(apiV3Secret)),
		fmt.Sprintf("%x", apiV3Secret), pkcs8PEM(t, merchantKey()), refundBody,
	} {
		probe := &recorder{TB: t}
		checkSecrets(probe, "", text)
		if !probe.failed {
			t.Errorf("not found in %.80s", text)
		}
	}
}

// A recorder is a test that may fail.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Helper()               {}
