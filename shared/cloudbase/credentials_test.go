package cloudbase

import (
	"encoding/json"
	"testing"

	"wxrefund/shared/secret"
)

// Nothing of credentials is encoded, not even whose they are.
func TestCredentialsAreNotEncoded(t *testing.T) {
	c := Credentials{SecretID: "AKID", SecretKey: secret.Text("canary"), Source: "wx_client"}
	b, err := json.Marshal(map[string]any{"value": c, "pointer": &c})
	if want := `{"pointer":"credentials (hidden)","value":"credentials (hidden)"}`; err != nil || string(b) != want {
		t.Errorf("got %s, %v, want %s", b, err, want)
	}
}
