package host

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"wxrefund/shared/refund"
)

// defaultClientSources are the tokens of TCB_SOURCE that stand for a program in
// somebody else's hands. wx_http is WeChat's HTTP API: whoever holds an access
// token of the mini-program.
var defaultClientSources = []string{"wx_client", "wx_devtools", "wx_http", "web_client", "wx_localdebug", "wx_unknown"}

// functionSource is the token of a cloud function of the merchant's own environment.
const functionSource = "scf"

// An Identity holds the rules by which a caller is recognised. The zero value is
// the strictest.
type Identity struct {
	ClientSources  []string // TCB_SOURCE tokens of clients; none: the default list
	TrustFunctions bool     // what calls through another function of ours is a server
	TrustHeaders   bool     // a gateway in front of us strips and sets x-wx-openid and x-wx-source
}

// readIdentity reads the rules from REFUND_CLIENT_SOURCES, REFUND_TRUST_FUNCTIONS
// and TRUST_WX_HEADERS. A switch that is neither true nor false is an error and off.
func readIdentity(getenv func(string) string) (Identity, error) {
	var errs []error
	on := func(name string) bool {
		switch value := strings.TrimSpace(getenv(name)); value {
		case "true":
			return true
		case "", "false":
		default:
			errs = append(errs, fmt.Errorf("%s: want true or false, got %q", name, value))
		}
		return false
	}
	id := Identity{
		ClientSources: strings.FieldsFunc(getenv("REFUND_CLIENT_SOURCES"), func(r rune) bool {
			return r == ',' || unicode.IsSpace(r)
		}),
		TrustFunctions: on("REFUND_TRUST_FUNCTIONS"),
		TrustHeaders:   on("TRUST_WX_HEADERS"),
	}
	return id, errors.Join(errs...)
}

// Platform tells who made a direct invocation, from the openid and the source
// (WX_OPENID, TCB_SOURCE) that the platform injected for this request:
//
//	openid  source                     caller
//	some    any                        that user
//	some    ..., scf                   a server if functions are trusted, else that user
//	none    no client token            a server
//	none    a client token             nobody
//	none    a client token, ..., scf   a server if functions are trusted, else nobody
//
// The source is a chain, oldest first. It is compared by whole tokens. A client's
// token counts in any case of letters and anywhere in the chain, since it lowers
// the caller; scf raises it, so it must be exact and last, which makes it the
// token of whoever called us.
func (id Identity) Platform(openid, source string) refund.Caller {
	chain := strings.Split(source, ",")
	for i := range chain {
		chain[i] = strings.TrimSpace(chain[i])
	}
	switch {
	case id.TrustFunctions && chain[len(chain)-1] == functionSource:
		return refund.Caller{Kind: refund.Server}
	case openid != "":
		return refund.Caller{Kind: refund.User, OpenID: openid}
	case slices.ContainsFunc(chain, id.client):
		return refund.Caller{}
	}
	return refund.Caller{Kind: refund.Server}
}

func (id Identity) client(token string) bool {
	sources := id.ClientSources
	if len(sources) == 0 {
		sources = defaultClientSources
	}
	return slices.ContainsFunc(sources, func(s string) bool { return strings.EqualFold(s, token) })
}

// Headers tells who sent a plain HTTP request. It is nobody unless headers are
// trusted and both are there, once each: a second one means that the gateway adds
// to what the client sent instead of replacing it.
func (id Identity) Headers(h http.Header) refund.Caller {
	openid, source := h.Values("X-Wx-Openid"), h.Values("X-Wx-Source")
	if !id.TrustHeaders || len(openid) != 1 || len(source) != 1 || openid[0] == "" || source[0] == "" {
		return refund.Caller{}
	}
	return id.Platform(openid[0], source[0])
}
