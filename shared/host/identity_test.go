package host

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
)

var (
	stranger = refund.Caller{}
	alice    = refund.Caller{Kind: refund.User, OpenID: "oALICE"}
	machine  = refund.Caller{Kind: refund.Server}
)

// settings is a getenv.
func settings(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestPlatform(t *testing.T) {
	tests := []struct {
		source string
		// with and without an openid, by default and with functions trusted
		user, userTrust     refund.Caller
		noUser, noUserTrust refund.Caller
	}{
		{"", alice, alice, machine, machine},
		{" ", alice, alice, machine, machine},
		{"wx_client", alice, alice, stranger, stranger},
		{" wx_client ", alice, alice, stranger, stranger},
		{"WX_CLIENT", alice, alice, stranger, stranger},
		{"wx_devtools", alice, alice, stranger, stranger},
		{"wx_http", alice, alice, stranger, stranger},
		{"web_client", alice, alice, stranger, stranger},
		{"wx_localdebug", alice, alice, stranger, stranger},
		{"wx_unknown", alice, alice, stranger, stranger},

		{"wx_client,scf", alice, machine, stranger, machine},
		{"wx_client , scf ", alice, machine, stranger, machine},
		{"WX_Client,scf", alice, machine, stranger, machine},
		{"wx_http,scf", alice, machine, stranger, machine},
		{"wx_client,scf,scf", alice, machine, stranger, machine},
		{"scf", alice, machine, machine, machine},
		{",scf", alice, machine, machine, machine},

		// scf counts only where it is the last, whole and exact
		{"scf,wx_client", alice, alice, stranger, stranger},
		{"wx_client,scf,wx_client", alice, alice, stranger, stranger},
		{"wx_client,SCF", alice, alice, stranger, stranger},
		{"wx_client,scf2", alice, alice, stranger, stranger},
		{"wx_client,scf,", alice, alice, stranger, stranger},
		{"wx_client scf", alice, alice, machine, machine}, // one unknown token
		{"wx_client,cbr", alice, alice, stranger, stranger},

		// not clients
		{"wx_trigger", alice, alice, machine, machine},
		{"wx_paycallback", alice, alice, machine, machine},
		{"other", alice, alice, machine, machine},
		{"something_new", alice, alice, machine, machine},
		{"wx_clients", alice, alice, machine, machine},
		{"my_wx_client", alice, alice, machine, machine},
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
			if got := c.id.Platform(c.openid, tt.source); got != c.want {
				t.Errorf("%s, source %q: got %+v, want %+v", c.name, tt.source, got, c.want)
			}
		}
	}
}

func TestPlatformKeepsOddOpenids(t *testing.T) {
	// An openid that makes no sense is still not the absence of one.
	for _, openid := range []string{" ", "\x00", "oALICE,oBOB"} {
		if got, want := (Identity{}).Platform(openid, ""), (refund.Caller{Kind: refund.User, OpenID: openid}); got != want {
			t.Errorf("openid %q: got %+v, want %+v", openid, got, want)
		}
	}
}

func TestClientSources(t *testing.T) {
	id, err := readIdentity(settings(map[string]string{"REFUND_CLIENT_SOURCES": " wx_client,\n my_app\tother ,, "}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"wx_client", "my_app", "other"}, id.ClientSources); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	for source, want := range map[string]refund.Caller{"my_app": stranger, "a,other": stranger, "wx_client": stranger, "wx_http": machine} {
		if got := id.Platform("", source); got != want {
			t.Errorf("source %q: got %+v, want %+v", source, got, want)
		}
	}
	for _, empty := range []string{"", " ", ",", " , "} {
		id, _ := readIdentity(settings(map[string]string{"REFUND_CLIENT_SOURCES": empty}))
		if got := id.Platform("", "wx_client"); got != stranger {
			t.Errorf("list %q: a client without openid is %+v, want nobody", empty, got)
		}
	}
}

func TestReadIdentitySwitches(t *testing.T) {
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
			id, err := readIdentity(settings(map[string]string{name: tt.value}))
			if (err != nil) != tt.err {
				t.Errorf("%s=%q: error %v, want one: %v", name, tt.value, err, tt.err)
			}
			want := Identity{TrustFunctions: tt.on && name == "REFUND_TRUST_FUNCTIONS", TrustHeaders: tt.on && name == "TRUST_WX_HEADERS"}
			if id.TrustFunctions != want.TrustFunctions || id.TrustHeaders != want.TrustHeaders {
				t.Errorf("%s=%q: got %+v, want %+v", name, tt.value, id, want)
			}
		}
	}
	_, err := readIdentity(settings(map[string]string{"REFUND_TRUST_FUNCTIONS": "a", "TRUST_WX_HEADERS": "b"}))
	want := "REFUND_TRUST_FUNCTIONS: want true or false, got \"a\"\nTRUST_WX_HEADERS: want true or false, got \"b\""
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want both named", err)
	}
}

func TestHeaders(t *testing.T) {
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	both := Identity{TrustHeaders: true, TrustFunctions: true}
	tests := []struct {
		name   string
		header http.Header
		id     Identity
		want   refund.Caller
	}{
		{"not trusted", header("x-wx-openid", "oALICE", "x-wx-source", "wx_client"), Identity{TrustFunctions: true}, stranger},
		{"trusted", header("x-wx-openid", "oALICE", "x-wx-source", "wx_client"), Identity{TrustHeaders: true}, alice},
		{"no header", header(), Identity{TrustHeaders: true}, stranger},
		{"no source", header("x-wx-openid", "oALICE"), Identity{TrustHeaders: true}, stranger},
		{"empty source", header("x-wx-openid", "oALICE", "x-wx-source", ""), Identity{TrustHeaders: true}, stranger},
		{"no openid", header("x-wx-source", "wx_client"), Identity{TrustHeaders: true}, stranger},
		{"no openid, no client", header("x-wx-source", "wx_trigger"), Identity{TrustHeaders: true}, stranger},
		{"no openid, a function", header("x-wx-source", "scf"), both, stranger},
		{"empty openid", header("x-wx-openid", "", "x-wx-source", "wx_trigger"), Identity{TrustHeaders: true}, stranger},
		{"two openids", header("x-wx-openid", "oBOB", "x-wx-openid", "oALICE", "x-wx-source", "wx_client"), Identity{TrustHeaders: true}, stranger},
		{"two sources", header("x-wx-openid", "oALICE", "x-wx-source", "scf", "x-wx-source", "wx_client"), both, stranger},
		{"chain", header("x-wx-openid", "oALICE", "x-wx-source", "wx_client,scf"), Identity{TrustHeaders: true}, alice},
		{"chain, functions trusted", header("x-wx-openid", "oALICE", "x-wx-source", "wx_client,scf"), both, machine},
	}
	for _, tt := range tests {
		if got := tt.id.Headers(tt.header); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
