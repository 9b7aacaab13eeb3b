package wxpay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
)

// Where a notification is logged, the account that the money went to is left out.
func TestLoggedNotificationShowsNoAccount(t *testing.T) {
	var out bytes.Buffer
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	slog.New(slog.NewTextHandler(&out, options)).Debug("text", "v", newRefundNotification())
	slog.New(slog.NewJSONHandler(&out, options)).Debug("json", "v", newRefundNotification())
	checkSecrets(t, "notification", out.String())
}

// The tests find the secrets that they look for.
func TestCheckSecretsFinds(t *testing.T) {
	b, err := json.Marshal(merchantKey())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		string(b), fmt.Sprint(merchantKey().D), fmt.Sprintf("%x", merchantKey().D), fmt.Sprintf("%+v", *merchantKey()), apiV3Secret, fmt.Sprint([]byte(apiV3Secret)),
		fmt.Sprintf("%x", apiV3Secret), pkcs8PEM(t, merchantKey()), refundBody,
		fmt.Sprintf("%+v", *newAPIKey(t).secret.Reveal()), fmt.Sprintf("%x", apiSecretText), fmt.Sprintf("%X", apiSecretText), fmt.Sprint([]byte(apiSecretText)),
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
