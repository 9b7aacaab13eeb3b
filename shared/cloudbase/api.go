package cloudbase

import (
	"bytes"
	"context"
	"net/http"

	"wxrefund/shared/wxpay"
)

// An API calls the HTTP API of one CloudBase environment, as its administrator
// (docs.cloudbase.net, HTTP API). It is another door than [Gateway]'s, with a
// signature of another dialect.
type API struct {
	URL         string // [APIURL] of the environment, or another without a slash at its end
	HTTP        *http.Client
	Credentials func(ctx context.Context) (Credentials, error) // of the request that ctx belongs to
}

// APIURL is where the HTTP API of an environment in mainland China is.
func APIURL(envID string) string { return "https://" + envID + ".api.tcloudbasegateway.com" }

// Post sends a JSON object to a path below URL and returns the answer, whatever its
// status; [wxpay.ErrTooLarge] if it has more than limit bytes. An error that does not
// wrap [wxpay.ErrUnsent] says nothing about whether the call was carried out.
func (a *API) Post(ctx context.Context, path string, body []byte, limit int64) (wxpay.Reply, error) {
	c, err := a.Credentials(ctx)
	if err != nil {
		return wxpay.Reply{}, unsent("there are no credentials for the HTTP API of CloudBase", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL+path, bytes.NewReader(body))
	if err != nil {
		return wxpay.Reply{}, unsent("the request to the HTTP API of CloudBase cannot be made", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.APIKey.Reveal())
	_ = limit
	return wxpay.Exchange(a.HTTP, req)
}
