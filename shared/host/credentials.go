package host

import (
	"context"
	"strings"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/secret"
)

type credentialsKey struct{}

// CredentialsFrom returns the credentials of the request that ctx belongs to; false
// if it brought no key pair.
func CredentialsFrom(ctx context.Context) (cloudbase.Credentials, bool) {
	c, _ := ctx.Value(credentialsKey{}).(cloudbase.Credentials)
	return c, c.SecretID != "" && c.SecretKey.Reveal() != ""
}

func readCredentials(getenv func(string) string) cloudbase.Credentials {
	return cloudbase.Credentials{
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

// settingsOnly hides the variables of single requests. On SCF each request's variables
// are written into the process environment and never taken out again, so what is there may
// be of another request, another user, another hour.
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
