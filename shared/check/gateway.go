package check

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"

	"wxrefund/shared/channel"
	"wxrefund/shared/cloudbase"
	"wxrefund/shared/config"
	"wxrefund/shared/refund"
)

// gatewayName is the line about CloudBase's gateway.
const gatewayName = "gateway"

// refusesAccess reports whether a code of the gateway's means that it does not take the
// credentials, or not for this environment: whatever is behind it was not reached.
func refusesAccess(code string) bool {
	return slices.Contains([]string{"SIGN_PARAM_INVALID", "INVALID_ENV", "INVALID_ACCESS_TOKEN"}, code)
}

// noCredentials says that there are none here, if so.
func (c *checker) noCredentials(ctx context.Context) (r Result, none bool) {
	if _, err := config.Credentials(c.Getenv)(ctx); err == nil {
		return Result{}, false
	}
	return note(gatewayName, "not asked: on SCF the platform lends each request its credentials, and there are none here",
		"to ask from here, set CLOUDBASE_APIKEY, or TENCENTCLOUD_SECRETID and TENCENTCLOUD_SECRETKEY, for this command"), true
}

// gatewayTakes is the line of a gateway that takes the credentials.
func (c *checker) gatewayTakes() Result {
	return ok(gatewayName, "CloudBase takes the credentials for environment %s", c.sys.Gateway.EnvID)
}

// gateway looks at CloudBase's gateway, and at what is behind it.
func (c *checker) gateway(ctx context.Context) []Result {
	if r, none := c.noCredentials(ctx); none {
		return notAsked([]Result{r}, refundQuery)
	}
	e := c.ask(ctx)
	if e == nil {
		return []Result{c.gatewayTakes(), ok(refundQuery, "the upstream answers, and knows no refund of a made-up number")}
	}
	if e.Unsent || refusesAccess(e.Upstream) {
		return notAsked([]Result{problem(gatewayName, answer(e), c.remedy(e))}, refundQuery)
	}
	return []Result{ok(gatewayName, "CloudBase takes the credentials"), problem(refundQuery, answer(e), c.remedy(e))}
}

// told are the names of the functions that are told of refunds.
func (c *checker) told() (names []string) {
	for _, s := range c.sys.Refunds.Subscribers {
		if name, is := strings.CutPrefix(s.Name, "scf:"); is {
			names = append(names, name)
		}
	}
	return names
}

// toldThrough looks at the gateway where functions alone are called through it, and the
// channel's own calls prove nothing of it. A function that is not there is called, so that
// none runs: that it is not there, the gateway says only to whom it lets in.
func (c *checker) toldThrough(ctx context.Context) []Result {
	switch c.sys.Refunds.Channel.(type) {
	case *channel.CloudBase, *channel.CloudPay:
		return nil
	}
	if len(c.told()) == 0 {
		return nil
	}
	if r, none := c.noCredentials(ctx); none {
		return []Result{r}
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	_, err := c.sys.Gateway.Invoke(ctx, "wxrefund-check-"+strings.ToLower(rand.Text()), []byte(`{}`))
	code := ""
	if e, is := errors.AsType[*cloudbase.Error](err); is {
		code = e.Code
	}
	switch {
	case code == "FUNCTION_NOT_FOUND":
		return []Result{c.gatewayTakes()}
	case err == nil, code != "" && !refusesAccess(code):
		text := "it answers to the call of a function whose name was made up"
		if err != nil {
			text += ": " + line(err)
		}
		return []Result{note(gatewayName, text+"; that shows neither that it takes the credentials nor that it does not", "look at operate list -undelivered after the first refund")}
	}
	do := cmp.Or(c.knownRemedy(&refund.Error{Upstream: code, Err: err}, c.given("TCB_API_URL")), "look at TCB_ENV, TCB_API_URL and the credentials")
	return []Result{problem(gatewayName, line(err), do)}
}
