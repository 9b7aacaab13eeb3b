package cloudbase

import (
	"fmt"
	"log/slog"

	"wxrefund/shared/secret"
)

// Credentials are what the platform lends a function to call CloudBase with. On
// SCF they belong to one request and are never kept; elsewhere they come from the
// process environment. However they are printed, nothing shows.
type Credentials struct {
	APIKey secret.Value[string] // CLOUDBASE_APIKEY, the environment's own server key: goes before all others

	SecretID     string               // TENCENTCLOUD_SECRETID
	SecretKey    secret.Value[string] // TENCENTCLOUD_SECRETKEY
	SessionToken secret.Value[string] // TENCENTCLOUD_SESSIONTOKEN

	APIToken        secret.Value[string] // WX_API_TOKEN
	TriggerAPIToken secret.Value[string] // WX_TRIGGER_API_TOKEN_V0, of timers; goes before APIToken
	AccessToken     secret.Value[string] // WX_CLOUDBASE_ACCESSTOKEN, when there is no API token
	TCBSessionToken secret.Value[string] // TCB_SESSIONTOKEN

	// Source is TCB_SOURCE, the chain of callers up to us. It is no secret, but
	// the gateway wants it beside these, to hand it on.
	Source string
}

const hidden = "credentials (hidden)"

// LogValue hides all, from slog.
func (Credentials) LogValue() slog.Value { return slog.StringValue(hidden) }

// Format hides all, from every verb of fmt.
func (Credentials) Format(f fmt.State, _ rune) { secret.Mask(f, hidden) }

// MarshalText hides all, from encoding/json.
func (Credentials) MarshalText() ([]byte, error) { return []byte(hidden), nil }
