package config

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/host"
	"wxrefund/shared/secret"
	"wxrefund/shared/wxpay"
)

// Credentials are those with which CloudBase is called on behalf of the request that a
// context belongs to: CLOUDBASE_APIKEY where it is set, else what the platform has lent the
// request, else TENCENTCLOUD_SECRETID and TENCENTCLOUD_SECRETKEY. Both the gateway and a
// ledger at CloudBase are called with them.
func Credentials(getenv func(string) string) func(context.Context) (cloudbase.Credentials, error) {
	return (&reader{getenv: getenv}).credentials()
}

func (r *reader) credentials() func(context.Context) (cloudbase.Credentials, error) {
	key := secret.Text(r.apiKey())
	own := cloudbase.Credentials{
		SecretID: r.get("TENCENTCLOUD_SECRETID"), SecretKey: secret.Text(r.get("TENCENTCLOUD_SECRETKEY")),
		SessionToken: secret.Text(r.get("TENCENTCLOUD_SESSIONTOKEN")),
	}
	return func(ctx context.Context) (cloudbase.Credentials, error) {
		lent, ok := host.CredentialsFrom(ctx)
		switch {
		case key.Reveal() != "":
			// Who the request comes from is still told; the pair is not used.
			lent.APIKey, lent.SecretID, lent.SecretKey, lent.SessionToken = key, "", secret.Value[string]{}, secret.Value[string]{}
			return lent, nil
		case ok:
			return lent, nil
		case own.SecretID == "" || own.SecretKey.Reveal() == "":
			return cloudbase.Credentials{}, errors.New("config: the platform has lent no credentials, and neither CLOUDBASE_APIKEY nor both of TENCENTCLOUD_SECRETID and TENCENTCLOUD_SECRETKEY are set")
		}
		return own, nil
	}
}

// apiKey reads the key of the environment, which goes into a header as it is.
func (r *reader) apiKey() string {
	const name = "CLOUDBASE_APIKEY"
	v := r.get(name)
	if word, _, _ := strings.Cut(v, " "); strings.EqualFold(word, "Bearer") {
		r.problem(name, "begins with the word Bearer: leave it out")
		return ""
	}
	if strings.ContainsFunc(v, func(c rune) bool { return c <= ' ' || c > '~' }) {
		r.problem(name, "must be the key alone: it holds a space, or what no key has")
		return ""
	}
	return v
}

// environmentID is that of the CloudBase environment: TCB_ENV or, without it, the one in
// which the ledger is.
func (r *reader) environmentID() string {
	if id, ok := cloudBaseLedger(r.raw("LEDGER_URL")); ok && r.raw("TCB_ENV") == "" {
		return id
	}
	return r.environment("TCB_ENV", r.required("TCB_ENV"))
}

// cloudBaseLedger returns the environment of a ledger at CloudBase; false: it is elsewhere.
func cloudBaseLedger(url string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(url, "cloudbase:")
	id, _, _ = strings.Cut(rest, "?")
	return id, ok
}

// gateway calls CloudBase with the credentials of the request at hand; where a
// platform lends none, with those that are set. The channel and the subscribers
// share it, and so its connections.
func gateway(r *reader) *cloudbase.Gateway {
	if r.gateway == nil {
		r.gateway = &cloudbase.Gateway{
			URL:         cmp.Or(r.url("TCB_API_URL"), "https://tcb-api.tencentcloudapi.com/admin"),
			EnvID:       r.environmentID(),
			HTTP:        wxpay.NewHTTPClient(nil),
			Credentials: r.credentials(),
		}
	}
	return r.gateway
}
