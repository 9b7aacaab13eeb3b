package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"wxrefund/shared/console"
)

// In a container all three addresses are reachable from outside of it, our side at PORT;
// what is given counts, and without the flag nothing of this holds.
func TestInAContainerItListensForOthers(t *testing.T) {
	for _, c := range []struct {
		args                      []string
		port                      string
		listen, wechat, wechatTLS string
	}{
		{nil, "9000", "127.0.0.1:8700", "127.0.0.1:8701", "127.0.0.1:8702"},
		{[]string{"-container"}, "", "0.0.0.0:8700", "0.0.0.0:8701", "0.0.0.0:8702"},
		{[]string{"-container"}, "9000", "0.0.0.0:9000", "0.0.0.0:8701", "0.0.0.0:8702"},
		{[]string{"-container", "-listen", "127.0.0.1:1", "-wechat", "127.0.0.1:2"}, "9000", "127.0.0.1:1", "127.0.0.1:2", "0.0.0.0:8702"},
		{[]string{"-container", "-scenario", "scenarios/closed.json"}, "9000", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"},
	} {
		o, err := parse(c.args, new(bytes.Buffer))
		if err != nil {
			t.Fatal(err)
		}
		listen := o.ourAddress(func(name string) string { return map[string]string{"PORT": c.port}[name] })
		if listen != c.listen || o.wechat != c.wechat || o.wechatTLS != c.wechatTLS {
			t.Errorf("%q, PORT=%s: got %s, %s, %s, want %s, %s, %s", c.args, c.port, listen, o.wechat, o.wechatTLS, c.listen, c.wechat, c.wechatTLS)
		}
	}
}

// The gateway of the container passes for this machine, under a name of this machine's;
// its neighbours do not, and neither does the gateway under another name.
func TestTheGatewayPassesForThisMachine(t *testing.T) {
	h := fromGateway(netip.MustParseAddr("172.17.0.1"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if no := console.Local(r); no != nil {
			no.Write(w)
		}
	}))
	for _, c := range []struct {
		from, host string
		status     int
	}{
		{"172.17.0.1:40000", "127.0.0.1:8700", 200},
		{"[::ffff:172.17.0.1]:40000", "localhost:9999", 200},
		{"127.0.0.1:40000", "127.0.0.1:8700", 200},
		{"172.17.0.2:40000", "127.0.0.1:8700", 403},
		{"172.17.0.1:40000", "evil.example", 403},
		{"172.17.0.1:40000", "172.17.0.3:8700", 403},
		{"", "127.0.0.1:8700", 403},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Host = c.from, c.host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || r.RemoteAddr != c.from {
			t.Errorf("from %s to %s: got %d, want %d", c.from, c.host, w.Code, c.status)
		}
	}
}

// The gateway is that of the default route, as Linux tells it.
func TestDefaultGateway(t *testing.T) {
	const head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
	for name, c := range map[string]struct{ routes, want string }{
		"a bridge":        {"eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\neth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n", "172.17.0.1"},
		"no default":      {"eth0\t000011AC\t010011AC\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0\n", ""},
		"half of all":     {"eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000080\t0\t0\t0\n", ""},
		"without gateway": {"eth0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n", ""},
		"broken":          {"eth0\t00000000\t0100\t0003\t0\t0\t0\t00000000\nx\n", ""},
		"none":            {"", ""},
	} {
		got, ok := defaultGateway(head + c.routes)
		if ok != (c.want != "") || ok && got.String() != c.want {
			t.Errorf("%s: got %v, %v, want %q", name, got, ok, c.want)
		}
	}
}
