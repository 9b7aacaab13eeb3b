package host

import (
	"net/http"
	"strings"
	"testing"

	"wxrefund/shared/refund"
)

var (
	stranger = refund.Caller{}
	alice    = refund.Caller{Kind: refund.User, OpenID: "oALICE"}
	machine  = refund.Caller{Kind: refund.Server}
	unlisted = refund.Caller{Kind: refund.Unlisted}
)

// from is that caller by that chain.
func from(source string, c refund.Caller) refund.Caller {
	c.Source = source
	return c
}

// settings is a getenv.
func settings(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

// Who made a direct invocation, for each kind of chain: of an openid and of none,
// by default and with functions trusted.
func TestCallerIsKnownByOpenIDAndSource(t *testing.T) {
	tests := []struct {
		source              string
		user, userTrust     refund.Caller
		noUser, noUserTrust refund.Caller
	}{
		// servers' tokens
		{"", alice, alice, machine, machine},
		{" ", alice, alice, machine, machine},
		{"wx_trigger", alice, alice, machine, machine},
		{"scf", alice, machine, machine, machine},
		{",scf", alice, machine, machine, machine}, // what our own gateway client hands on without a source
		{"wx_trigger,scf", alice, machine, machine, machine},
		{" wx_trigger , scf ", alice, machine, machine, machine},

		// clients' tokens, in any case and anywhere
		{"wx_client", alice, alice, stranger, stranger},
		{" wx_client ", alice, alice, stranger, stranger},
		{"WX_CLIENT", alice, alice, stranger, stranger},
		{"wx_devtools", alice, alice, stranger, stranger},
		{"wx_http", alice, alice, stranger, stranger},
		{"web_client", alice, alice, stranger, stranger},
		{"wx_localdebug", alice, alice, stranger, stranger},
		{"wx_unknown", alice, alice, stranger, stranger},
		{"wx_crawler", alice, alice, stranger, stranger},
		{"other", alice, alice, stranger, stranger},
		{"Other", alice, alice, stranger, stranger},

		{"wx_client,scf", alice, machine, stranger, machine},
		{"wx_client , scf ", alice, machine, stranger, machine},
		{"WX_Client,scf", alice, machine, stranger, machine},
		{"wx_http,scf", alice, machine, stranger, machine},
		{"wx_client,scf,scf", alice, machine, stranger, machine},
		{"wx_trigger,wx_client", alice, alice, stranger, stranger},

		// scf raises only where it is the last, whole and exact
		{"scf,wx_client", alice, alice, stranger, stranger},
		{"wx_client,scf,wx_client", alice, alice, stranger, stranger},
		{"wx_client,SCF", alice, alice, stranger, stranger},
		{"wx_client,scf2", alice, alice, stranger, stranger},
		{"wx_client,scf,", alice, alice, stranger, stranger},
		{"wx_client,cbr", alice, alice, stranger, stranger},

		// and only what is known all the way
		{"other,scf", alice, alice, stranger, stranger},
		{"anonymous,scf", alice, alice, unlisted, unlisted},
		{"wx_client,anonymous,scf", alice, alice, stranger, stranger},

		// tokens that nobody knows
		{"wx_paycallback", alice, alice, unlisted, unlisted},
		{"webclient", alice, alice, unlisted, unlisted},
		{"anonymous", alice, alice, unlisted, unlisted},
		{"something_new", alice, alice, unlisted, unlisted},
		{"wx_clients", alice, alice, unlisted, unlisted},
		{"my_wx_client", alice, alice, unlisted, unlisted},
		{"SCF", alice, alice, unlisted, unlisted},
		{"WX_TRIGGER", alice, alice, unlisted, unlisted},
		{"wx_trigger\x00", alice, alice, unlisted, unlisted},
		{"wx_client scf", alice, alice, unlisted, unlisted}, // one token
		{"wx_client;scf", alice, alice, unlisted, unlisted},
		{"scf,something_new", alice, alice, unlisted, unlisted},
		{"something_new,wx_trigger", alice, alice, unlisted, unlisted},
		{"bearer", alice, alice, unlisted, unlisted},
	}
	for _, tt := range tests {
		for _, c := range []struct {
			name   string
			id     Identity
			openid string
			want   refund.Caller
		}{
			{"user", Identity{}, "oALICE", tt.user},
			{"user, functions trusted", Identity{TrustFunctions: true}, "oALICE", tt.userTrust},
			{"no openid", Identity{}, "", tt.noUser},
			{"no openid, functions trusted", Identity{TrustFunctions: true}, "", tt.noUserTrust},
			{"trusted headers change nothing", Identity{TrustHeaders: true}, "", tt.noUser},
		} {
			if got, want := c.id.Platform(c.openid, tt.source), from(tt.source, c.want); got != want {
				t.Errorf("%s, source %q: got %+v, want %+v", c.name, tt.source, got, want)
			}
		}
	}
	// An openid that makes no sense is still not the absence of one.
	for _, openid := range []string{" ", "\x00", "oALICE,oBOB"} {
		if got, want := (Identity{}).Platform(openid, ""), (refund.Caller{Kind: refund.User, OpenID: openid}); got != want {
			t.Errorf("openid %q: got %+v, want %+v", openid, got, want)
		}
	}
}

// Both settings add to what is known, and take nothing away from it. A function among
// the clients is trusted with nothing, even if functions are.
func TestSettingsAddSources(t *testing.T) {
	for _, tt := range []struct {
		clients, servers string
		want             map[string]refund.Caller
	}{
		{" app_client,\n my_app\tother ,, ", "", map[string]refund.Caller{
			"app_client": stranger, "APP_CLIENT": stranger, "my_app": stranger, "a,other": stranger, "scf,my_app": stranger,
			"wx_client": stranger, "wx_http": stranger, "web_client": stranger, "wx_unknown": stranger, "wx_crawler": stranger,
			"": machine, "scf": machine, "wx_trigger": machine, "anonymous": unlisted,
		}},
		{"", "wx_paycallback, my_gateway", map[string]refund.Caller{
			"wx_paycallback": machine, "my_gateway": machine, "my_gateway,scf": machine, "wx_paycallback,my_gateway": machine,
			"MY_GATEWAY": unlisted, "my_gateway2": unlisted, "my_gateway,anonymous": unlisted, "my_gateway,wx_client": stranger,
			"": machine, "scf": machine, "wx_trigger": machine, "wx_http": stranger, "other": stranger,
		}},
		{"", "other", map[string]refund.Caller{"other": machine, "Other": stranger, "other,anonymous": unlisted}},
		{"scf, wx_trigger", "", map[string]refund.Caller{"scf": stranger, "wx_trigger": stranger, "wx_client,scf": stranger, "": machine}},
		{" , ", ",", map[string]refund.Caller{"wx_client": stranger, "": machine, "anonymous": unlisted}},
	} {
		id, err := ReadIdentity(settings(map[string]string{"REFUND_CLIENT_SOURCES": tt.clients, "REFUND_SERVER_SOURCES": tt.servers, "REFUND_TRUST_FUNCTIONS": "false"}))
		if err != nil {
			t.Errorf("clients %q, servers %q: %v", tt.clients, tt.servers, err)
		}
		for source, want := range tt.want {
			if got := id.Platform("", source); got != from(source, want) {
				t.Errorf("clients %q, servers %q, source %q: got %+v, want %+v", tt.clients, tt.servers, source, got, want)
			}
			if got := id.Platform("oALICE", source); got != from(source, alice) {
				t.Errorf("clients %q, servers %q, source %q: got %+v, want the user", tt.clients, tt.servers, source, got)
			}
		}
	}
	id := Identity{TrustFunctions: true, ClientSources: []string{"scf"}}
	if got := id.Platform("", "wx_client,scf"); got.Kind != refund.Nobody {
		t.Errorf("a function among the clients: got %+v, want nobody", got)
	}
}

// A token cannot mean both: it is named, and until then it means a client.
func TestSourceOfClientsAndServersIsRefused(t *testing.T) {
	for _, tt := range []struct{ clients, servers, token string }{
		{"", "wx_http", "wx_http"}, {"", "scf,Web_Client", "Web_Client"}, {"my_app", "my_app", "my_app"}, {"MY_APP", "my_app", "my_app"},
	} {
		id, err := ReadIdentity(settings(map[string]string{"REFUND_CLIENT_SOURCES": tt.clients, "REFUND_SERVER_SOURCES": tt.servers}))
		if err == nil || !strings.Contains(err.Error(), "REFUND_SERVER_SOURCES") || !strings.Contains(err.Error(), "REFUND_CLIENT_SOURCES") || !strings.Contains(err.Error(), tt.token) {
			t.Errorf("clients %q, servers %q: got %v, want both settings named, and the token", tt.clients, tt.servers, err)
		}
		if got := id.Platform("", tt.token); got.Kind != refund.Nobody {
			t.Errorf("clients %q, servers %q: got %+v, want nobody", tt.clients, tt.servers, got)
		}
	}
}

func TestIdentitySwitchesAreTrueOrFalse(t *testing.T) {
	tests := []struct {
		value string
		on    bool
		err   bool
	}{
		{"", false, false}, {"true", true, false}, {" true ", true, false}, {"false", false, false},
		{"TRUE", false, true}, {"1", false, true}, {"yes", false, true},
	}
	for _, tt := range tests {
		for _, name := range []string{"REFUND_TRUST_FUNCTIONS", "TRUST_WX_HEADERS"} {
			id, err := ReadIdentity(settings(map[string]string{name: tt.value}))
			if (err != nil) != tt.err {
				t.Errorf("%s=%q: error %v, want one: %v", name, tt.value, err, tt.err)
			}
			want := Identity{TrustFunctions: tt.on && name == "REFUND_TRUST_FUNCTIONS", TrustHeaders: tt.on && name == "TRUST_WX_HEADERS"}
			if id.TrustFunctions != want.TrustFunctions || id.TrustHeaders != want.TrustHeaders {
				t.Errorf("%s=%q: got %+v, want %+v", name, tt.value, id, want)
			}
		}
	}
	_, err := ReadIdentity(settings(map[string]string{"REFUND_TRUST_FUNCTIONS": "a", "TRUST_WX_HEADERS": "b"}))
	want := "REFUND_TRUST_FUNCTIONS: want true or false, got \"a\"\nTRUST_WX_HEADERS: want true or false, got \"b\""
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want both named", err)
	}
}

func TestHeadersNameAUserOnlyIfTrusted(t *testing.T) {
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	both := Identity{TrustHeaders: true, TrustFunctions: true}
	liar := refund.Caller{Source: unbelieved}
	type headerCase struct {
		name   string
		header http.Header
		id     Identity
		want   refund.Caller
	}
	tests := []headerCase{
		{"not trusted", header("x-wx-openid", "oALICE", "x-wx-source", "wx_client"), Identity{TrustFunctions: true}, liar},
		{"not trusted, an openid alone", header("x-wx-openid", "oALICE"), Identity{}, liar},
		{"not trusted, as a server", header("x-wx-openid", "oALICE", "x-wx-source", "scf"), Identity{ServerSources: []string{"mine"}, TrustFunctions: true}, liar},
		{"not trusted, other spellings", header("X_WX_OPENID", "oALICE", "X-WX-SOURCE", "scf"), Identity{}, stranger},
		{"joined by a comma", header("x-wx-openid", "oALICE, oBOB", "x-wx-source", "wx_client"), Identity{TrustHeaders: true}, liar},
		{"trusted", header("x-wx-openid", "oALICE", "x-wx-source", "wx_client"), Identity{TrustHeaders: true}, alice},
		{"trusted, in capitals", header("X-WX-OPENID", "oALICE", "X-WX-SOURCE", "wx_client"), Identity{TrustHeaders: true}, alice},
		{"trusted, other spellings", header("X_WX_OPENID", "oALICE", "X_WX_SOURCE", "wx_client"), Identity{TrustHeaders: true}, stranger},
		{"trusted, beside other spellings", header("x_wx_openid", "oBOB", "x-wx-openid", "oALICE", "x-wx-source", "wx_client"), Identity{TrustHeaders: true}, alice},
		{"no header", header(), Identity{TrustHeaders: true}, stranger},
		{"no source", header("x-wx-openid", "oALICE"), Identity{TrustHeaders: true}, liar},
		{"empty source", header("x-wx-openid", "oALICE", "x-wx-source", ""), Identity{TrustHeaders: true}, liar},
		{"no openid", header("x-wx-source", "wx_client"), Identity{TrustHeaders: true}, stranger},
		{"no openid, no client", header("x-wx-source", "wx_trigger"), Identity{TrustHeaders: true}, stranger},
		{"no openid, a function", header("x-wx-source", "scf"), both, stranger},
		{"empty openid", header("x-wx-openid", "", "x-wx-source", "wx_trigger"), Identity{TrustHeaders: true}, liar},
		{"two openids", header("x-wx-openid", "oBOB", "x-wx-openid", "oALICE", "x-wx-source", "wx_client"), Identity{TrustHeaders: true}, liar},
		{"two sources", header("x-wx-openid", "oALICE", "x-wx-source", "scf", "x-wx-source", "wx_client"), both, liar},
		{"chain", header("x-wx-openid", "oALICE", "x-wx-source", "wx_client,scf"), Identity{TrustHeaders: true}, alice},
		{"chain, functions trusted", header("x-wx-openid", "oALICE", "x-wx-source", "wx_client,scf"), both, machine},
		{"an unknown source", header("x-wx-openid", "oALICE", "x-wx-source", "anonymous"), both, alice},
		{"a chain with an unknown source, functions trusted", header("x-wx-openid", "oALICE", "x-wx-source", "anonymous,scf"), both, alice},
	}
	withApp := alice
	withApp.AppID = "wxA"
	tests = append(tests, []headerCase{
		{"trusted, with a program", header("x-wx-openid", "oALICE", "x-wx-source", "wx_client", "x-wx-appid", "wxA"), Identity{TrustHeaders: true}, withApp},
		{"trusted, an empty program", header("x-wx-openid", "oALICE", "x-wx-source", "wx_client", "x-wx-appid", ""), Identity{TrustHeaders: true}, alice},
		{"trusted, what is no program", header("x-wx-openid", "oALICE", "x-wx-source", "wx_client", "x-wx-appid", "wxA,wxB"), Identity{TrustHeaders: true}, alice},
		{"trusted, two programs", header("x-wx-openid", "oALICE", "x-wx-source", "wx_client", "x-wx-appid", "wxA", "x-wx-appid", "wxB"), Identity{TrustHeaders: true}, liar},
		{"trusted, a program alone", header("x-wx-appid", "wxA"), Identity{TrustHeaders: true}, stranger},
		{"not trusted, with a program", header("x-wx-openid", "oALICE", "x-wx-source", "wx_client", "x-wx-appid", "wxA"), Identity{}, liar},
		{"a server, with a program", header("x-wx-openid", "oALICE", "x-wx-source", "wx_client,scf", "x-wx-appid", "wxA"), both, machine},
	}...)
	for _, tt := range tests {
		want := tt.want
		if want != stranger && want != liar {
			want.Source = tt.header.Get("X-Wx-Source")
		}
		if got := tt.id.Headers(tt.header); got != want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, want)
		}
	}
}

// An openid is of one program, which the variables of the request name; where they leave
// it open which of two, none is named.
func TestTheProgramIsTheOneWhoseOpenIDItIs(t *testing.T) {
	for _, tt := range []struct {
		name             string
		openid, own      string
		fromOpenID, from string
		want             string
	}{
		{"a call of the program's own", "oALICE", "wxA", "", "", "wxA"},
		{"not said", "oALICE", "", "", "", ""},
		{"the program's own, said twice", "oALICE", "wxA", "oALICE", "wxA", "wxA"},
		{"another program's openid", "oALICE", "wxA", "oALICE", "wxB", "wxB"},
		{"the environment's openid, called by another program", "oALICE", "wxA", "oOTHER", "wxB", "wxA"},
		{"another program without an openid", "oALICE", "wxA", "", "wxB", ""},
		{"another program alone", "oALICE", "", "oALICE", "wxB", "wxB"},
		{"not one program", "oALICE", "wxA,wxB", "", "", ""},
	} {
		get := settings(map[string]string{"WX_OPENID": tt.openid, "WX_APPID": tt.own, "WX_FROM_OPENID": tt.fromOpenID, "WX_FROM_APPID": tt.from})
		if got := as(alice, appID(get)); got.AppID != tt.want || got.OpenID != "oALICE" {
			t.Errorf("%s: got %+v, want the program %q", tt.name, got, tt.want)
		}
		if got := as(machine, appID(get)); got != machine {
			t.Errorf("%s: a server became %+v", tt.name, got)
		}
	}
}
