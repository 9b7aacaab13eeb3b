package host

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"wxrefund/shared/refund"
	"wxrefund/shared/secret"
)

// clientSources are the tokens of TCB_SOURCE that stand for a program in
// somebody else's hands. wx_http is WeChat's HTTP API: whoever holds an access
// token of the mini-program. wx_crawler is WeChat's own, and nobody's to refund for.
var clientSources = []string{"wx_client", "wx_devtools", "wx_http", "web_client", "wx_localdebug", "wx_unknown", "wx_crawler"}

// serverSources are those of the merchant's own side: an empty source is a call by
// the cloud's own interface with the account's keys, wx_trigger a timer.
var serverSources = []string{"", functionSource, "wx_trigger"}

// functionSource is the token of a cloud function of the merchant's own environment.
const functionSource = "scf"

// otherSource is documented, and says of the caller that it is none of those that
// are: nobody, unless the merchant knows better.
const otherSource = "other"

// Servers that something else than a TCB_SOURCE attests.
var (
	bearer  = refund.Caller{Kind: refund.Server, Source: "bearer"} // who brought the server token
	invoker = refund.Caller{Kind: refund.Server, Source: "lambda"} // whom IAM let in
)

// An Identity holds the rules by which a caller is recognised. The zero value is
// the strictest.
type Identity struct {
	ClientSources  []string               // TCB_SOURCE tokens of clients, beside those that are known
	ServerSources  []string               // of servers, beside those that are known; what is a client's as well is a client's
	TrustFunctions bool                   // what calls through another function of ours is a server
	TrustHeaders   bool                   // a gateway in front of us strips and sets x-wx-openid, x-wx-source and x-wx-appid
	ServerTokens   []secret.Value[string] // over plain HTTP, who brings one of them is a server
}

// ReadIdentity reads the rules from REFUND_CLIENT_SOURCES, REFUND_SERVER_SOURCES,
// REFUND_SERVER_TOKEN, REFUND_TRUST_FUNCTIONS and TRUST_WX_HEADERS. What is malformed
// is an error, and counts as absent.
func ReadIdentity(getenv func(string) string) (Identity, error) {
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
		ClientSources:  sources(getenv("REFUND_CLIENT_SOURCES")),
		ServerSources:  sources(getenv("REFUND_SERVER_SOURCES")),
		TrustFunctions: on("REFUND_TRUST_FUNCTIONS"),
		TrustHeaders:   on("TRUST_WX_HEADERS"),
	}
	// A setting that is obeyed in part only would look as if it were obeyed.
	for _, token := range id.ServerSources {
		if id.client(token) {
			errs = append(errs, fmt.Errorf("REFUND_SERVER_SOURCES: %q means a client, by REFUND_CLIENT_SOURCES or by itself, and cannot mean a server", token))
		}
	}
	var err error
	if id.ServerTokens, err = readTokens(getenv("REFUND_SERVER_TOKEN")); err != nil {
		errs = append(errs, err)
	}
	return id, errors.Join(errs...)
}

// sources reads a list of tokens of TCB_SOURCE.
func sources(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}

// Platform returns who made a direct invocation, from the openid and the source
// (WX_OPENID, TCB_SOURCE) that the platform injected for this request. The source
// is a chain, oldest first, and each of its tokens is a client's, a server's, or
// one that nobody knows:
//
//	openid  source                               caller
//	some    any                                  that user
//	none    servers' tokens alone                a server
//	none    a client's token anywhere, or other  nobody
//	none    a token that nobody knows            unlisted: nobody who may refund or query
//
// If functions are trusted, a chain of known tokens whose last is scf is a server,
// whoever stands before it.
//
// Tokens are compared whole. A client's counts in any case of letters, since it
// lowers the caller; a server's must be exact, and scf raises only as the last,
// which makes it the token of whoever called us.
func (id Identity) Platform(openid, source string) refund.Caller {
	chain := strings.Split(source, ",")
	var client, unlisted bool
	for i := range chain {
		chain[i] = strings.TrimSpace(chain[i])
		switch {
		case id.client(chain[i]):
			client = true
		case !id.server(chain[i]):
			unlisted = true
		}
	}
	// other is known and says nothing, so that it neither raises nor is raised.
	nameless := slices.ContainsFunc(chain, func(token string) bool { return strings.EqualFold(token, otherSource) && !id.server(token) })
	kind := refund.Server
	switch {
	case id.TrustFunctions && chain[len(chain)-1] == functionSource && !unlisted && !id.client(functionSource):
	case openid != "":
		return refund.Caller{Kind: refund.User, OpenID: openid, Source: source}
	case client || nameless:
		kind = refund.Nobody
	case unlisted:
		kind = refund.Unlisted
	}
	return refund.Caller{Kind: kind, Source: source}
}

// appID is the program in which the openid of a request is a user's, by the variables that
// the platform injected for it; "": it does not say. An openid is of one program. Where
// another program calls an environment that is shared with it, WX_FROM_OPENID and
// WX_FROM_APPID are that program's (getWXContext, "环境共享"), and whose WX_OPENID is
// then is written nowhere: it is whose pair has it, and without a pair nobody's.
func appID(get func(string) string) string {
	own, from := get("WX_APPID"), get("WX_FROM_APPID")
	switch fromOpenID := get("WX_FROM_OPENID"); {
	case from == "" || from == own:
		return own
	case fromOpenID == "":
		return ""
	case fromOpenID == get("WX_OPENID"):
		return from
	}
	return own
}

// as is the caller as a user of the program; whoever is no user stays as they are.
func as(c refund.Caller, appID string) refund.Caller {
	if c.Kind == refund.User && isOpenID(appID) {
		c.AppID = appID
	}
	return c
}

func (id Identity) client(token string) bool {
	is := func(s string) bool { return strings.EqualFold(s, token) }
	return slices.ContainsFunc(clientSources, is) || slices.ContainsFunc(id.ClientSources, is)
}

func (id Identity) server(token string) bool {
	return slices.Contains(serverSources, token) || slices.Contains(id.ServerSources, token)
}

// unbelieved is the source of a stranger who sent what a gateway would have set.
const unbelieved = "x-wx-openid, not believed"

// Headers returns who sent a plain HTTP request: a server if it brings the server
// token. Else it is nobody unless headers are trusted and both are there, once
// each, and the openid is one: a second one, or two joined by a comma, mean that the
// gateway adds to what the client sent instead of replacing it. Whoever sends an openid
// that is not believed is a stranger who may be lying, and is on record as one. x-wx-appid
// is believed where the openid is, and may be absent.
//
// Other spellings (X_WX_OPENID) are other headers, and say nothing.
func (id Identity) Headers(h http.Header) refund.Caller {
	if id.bringsToken(h) {
		return bearer
	}
	openid, source, appid := h.Values("X-Wx-Openid"), h.Values("X-Wx-Source"), h.Values("X-Wx-Appid")
	if !id.TrustHeaders || len(openid) != 1 || len(source) != 1 || len(appid) > 1 || !isOpenID(openid[0]) || source[0] == "" {
		return named(h)
	}
	return as(id.Platform(openid[0], source[0]), h.Get("X-Wx-Appid"))
}

// named is nobody, by the name that a request gives itself.
func named(h http.Header) refund.Caller {
	if len(h.Values("X-Wx-Openid")) > 0 {
		return refund.Caller{Source: unbelieved}
	}
	return refund.Caller{}
}

// isOpenID tells whether s can be an openid: visible ASCII without a comma.
func isOpenID(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == ',' })
}

// Why an openid in a header is not believed, and what to do.
const (
	whyPublic = "x-wx-openid is not believed: TRUST_WX_HEADERS is not set, and on a route that the public can reach anybody can send the header and be any operator"
	doPublic  = "set TRUST_WX_HEADERS=true only if every way to this function leads through a gateway that strips x-wx-openid, x-wx-source and x-wx-appid from what clients send and sets them itself; users of the mini-program else call an event function (wx.cloud.callFunction), and servers send REFUND_SERVER_TOKEN"
	whyAdded  = "x-wx-openid is not believed: it and x-wx-source must be there once each, with one value, and x-wx-appid once at most"
	doAdded   = "see that the gateway sets them and replaces what clients send: one that adds to it, or passes it on, lets anybody be any operator; set TRUST_WX_HEADERS=false until it does"
	whyPacked = "x-wx-openid is not believed: HTTP that a gateway packs up for this function has no identity, whatever TRUST_WX_HEADERS says"
	doPacked  = "call by wx.cloud.callFunction or directly, from a server, and take the public route to this function away"
)

// doubt says in the log, once in the life of a process, why an openid was not believed and
// what to do: the rest is on record with each denial.
func (s *server) doubt(ctx context.Context, id Identity, packed bool) {
	why, do := whyPublic, doPublic
	switch {
	case packed:
		why, do = whyPacked, doPacked
	case id.TrustHeaders:
		why, do = whyAdded, doAdded
	}
	s.doubted.Do(func() { s.log.WarnContext(ctx, "identity not believed", "why", why, "do", do) })
}
