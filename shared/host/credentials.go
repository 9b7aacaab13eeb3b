package host

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"wxrefund/shared/secret"
)

// Credentials are what the platform lends a function to call CloudBase with. On
// SCF they belong to one request; elsewhere they come from the process environment.
// However they are printed, nothing shows.
type Credentials struct {
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

type credentialsKey struct{}

// CredentialsFrom returns the credentials of the request that ctx belongs to; false
// if it brought no key pair.
func CredentialsFrom(ctx context.Context) (Credentials, bool) {
	c, _ := ctx.Value(credentialsKey{}).(Credentials)
	return c, c.SecretID != "" && c.SecretKey.Reveal() != ""
}

func readCredentials(getenv func(string) string) Credentials {
	return Credentials{
		SecretID:        getenv("TENCENTCLOUD_SECRETID"),
		SecretKey:       secret.Text(getenv("TENCENTCLOUD_SECRETKEY")),
		SessionToken:    secret.Text(getenv("TENCENTCLOUD_SESSIONTOKEN")),
		APIToken:        secret.Text(getenv("WX_API_TOKEN")),
		TriggerAPIToken: secret.Text(getenv("WX_TRIGGER_API_TOKEN_V0")),
		AccessToken:     secret.Text(getenv("WX_CLOUDBASE_ACCESSTOKEN")),
		TCBSessionToken: secret.Text(getenv("TCB_SESSIONTOKEN")),
		Source:          getenv("TCB_SOURCE"),
	}
}

// perRequest are the beginnings of the names that SCF sets anew for each request.
// None of our settings begins so.
var perRequest = []string{"WX_", "TCB_SOURCE", "TCB_SESSIONTOKEN", "TENCENTCLOUD_SECRET", "TENCENTCLOUD_SESSIONTOKEN"}

// settingsOnly hides the variables of single requests. The SCF library writes each
// request's variables into the process environment and never takes them out again,
// so what is there may be of another request, another user, another hour.
func settingsOnly(getenv func(string) string) func(string) string {
	return func(name string) string {
		for _, prefix := range perRequest {
			if strings.HasPrefix(name, prefix) {
				return ""
			}
		}
		return getenv(name)
	}
}

const hidden = "credentials (hidden)"

// LogValue hides all, from slog.
func (Credentials) LogValue() slog.Value { return slog.StringValue(hidden) }

// Format hides all, from every verb of fmt.
func (Credentials) Format(f fmt.State, _ rune) { secret.Mask(f, hidden) }

// MarshalText hides all, from encoding/json.
func (Credentials) MarshalText() ([]byte, error) { return []byte(hidden), nil }
