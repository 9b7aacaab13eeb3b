package clients_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/sandbox/sandboxtest"
)

// A client is what somebody else has written, in one of its versions.
type client struct {
	pinned  string                              // where its version stands: a name in go.mod, or one in testdata/package.json
	system  string                              // what it speaks: APIv3, v2, CloudBase or WeCom
	kinds   []string                            // of merchants who can use it; none: what it speaks knows no kinds
	program func(*stage, *sandboxtest.Receiver) // in Go
	script  []string                            // for Node, in testdata, with its arguments

	// but are outcomes that differ from those of other clients, for one kind of merchant or
	// for all ("").
	but map[string]outcomes
}

// kinds are those of merchants who use APIv3.
var kinds = []string{"certificate", "switching", "public-key"}

// What differs where nobody looks at the signature of a reply, and where the code of a
// refusal is lost.
var (
	unverified = outcomes{"query, forged": "SUCCESS 888"}
	codeless   = outcomes{"certificates": "refused", "certificates, with another key": "refused"}
)

// matrix is what is tried.
var matrix = []client{
	{pinned: "github.com/wechatpay-apiv3/wechatpay-go", system: "APIv3", kinds: kinds, program: weChatPayGo},
	{pinned: "github.com/go-pay/gopay", system: "APIv3", kinds: kinds, program: goPayV3},
	{pinned: "github.com/go-pay/gopay", system: "v2", program: goPayV2},
	{
		pinned: "github.com/ArtisanCloud/PowerWeChat/v3", system: "APIv3", kinds: kinds, program: powerWeChat,
		but: map[string]outcomes{"": unverified, "public-key": codeless},
	},
	{pinned: "github.com/silenceper/wechat/v2", system: "WeCom", program: silenceper},
	{
		pinned: "wechatpay-node-v3", system: "APIv3", kinds: kinds, script: []string{"wechatpay-node-v3.js"},
		but: map[string]outcomes{"": unverified, "public-key": codeless},
	},
	{pinned: "wechatpay-axios-plugin", system: "APIv3", kinds: kinds, script: []string{"wechatpay-axios-plugin-v3.js"}},
	{pinned: "wechatpay-axios-plugin", system: "v2", script: []string{"wechatpay-axios-plugin-v2.js"}},
	{pinned: "tenpay", system: "v2", script: []string{"tenpay.js"}},
	{pinned: "wx-server-sdk-2", system: "CloudBase", script: []string{"wx-server-sdk.js", "wx-server-sdk-2"}},
	{pinned: "wx-server-sdk-3", system: "CloudBase", script: []string{"wx-server-sdk.js", "wx-server-sdk-3"}},
	{pinned: "wx-server-sdk-4", system: "CloudBase", script: []string{"wx-server-sdk.js", "wx-server-sdk-4"}},
	{pinned: "cloudbase-node-sdk-2", system: "CloudBase", script: []string{"node-sdk.js", "cloudbase-node-sdk-2"}},
	{pinned: "cloudbase-node-sdk-3", system: "CloudBase", script: []string{"node-sdk.js", "cloudbase-node-sdk-3"}},
	{
		pinned: "cloudbase-node-sdk-3", system: "CloudBase", script: []string{"node-sdk-key.js", "cloudbase-node-sdk-3"},
		but: map[string]outcomes{"": {"call with another key": "access token is not valid"}},
	},
}

// want is what must come of a client, for a merchant of a kind whose platform certificate
// has that serial.
func (c client) want(kind, serial string) outcomes {
	want := map[string]func() outcomes{
		"APIv3":     func() outcomes { return wantV3(kind, serial) },
		"v2":        wantV2,
		"WeCom":     wantWeCom,
		"CloudBase": wantModule,
	}[c.system]()
	if strings.HasPrefix(c.pinned, "wx-server-sdk") {
		maps.Copy(want, wantCloudPay())
	}
	if c.program != nil { // those in Node do not ask
		maps.Copy(want, wantOrder(c.system))
	}
	maps.Copy(want, c.but[""])
	maps.Copy(want, c.but[kind])
	return want
}

// wantV3 is what comes of a client that verifies what it is answered.
func wantV3(kind, serial string) outcomes {
	want := outcomes{
		"refund":                    "PROCESSING 888",
		"refund, again":             "true",
		"refund, of another amount": "INVALID_REQUEST",
		"query, unknown":            "RESOURCE_NOT_EXISTS",
		"query, forged":             "refused",

		"certificates":                   serial,
		"certificates, with another key": "refused",
	}
	if kind == "public-key" {
		want["certificates"], want["certificates, with another key"] = "RESOURCE_NOT_EXISTS", "RESOURCE_NOT_EXISTS"
	}
	for by, without := range map[string]string{"certificate": "public-key", "public key": "certificate"} {
		if kind == without {
			continue // WeChat Pay has no such key for the merchant
		}
		want["query, "+by] = "SUCCESS 888"
		want["notification by "+by] = "SUCCESS 888"
		want["notification by "+by+", tampered with"] = "refused"
		want["notification by "+by+", with another key"] = "refused"
	}
	return want
}

func wantV2() outcomes {
	want := outcomes{}
	for _, signType := range []string{"MD5", "HMAC-SHA256"} {
		maps.Copy(want, outcomes{
			signType + " refund":                         "SUCCESS 888",
			signType + " refund, again":                  "true",
			signType + " refund, of another amount":      "INVALID_REQUEST",
			signType + " refund, with another key":       "签名错误",
			signType + " notification":                   "SUCCESS 888",
			signType + " notification, tampered with":    "refused",
			signType + " notification, with another key": "refused",
			signType + " query":                          "SUCCESS 888",
			signType + " query, unknown":                 "REFUNDNOTEXIST",
			signType + " query, forged":                  "refused",
		})
	}
	return want
}

// wantOrder is what comes of questions about orders.
func wantOrder(system string) outcomes {
	const paid = "SUCCESS oBuyer 10000"
	switch system {
	case "v2":
		return outcomes{
			"MD5 order": paid, "MD5 order, unknown": "ORDERNOTEXIST", "HMAC-SHA256 order": paid, "HMAC-SHA256 order, unknown": "ORDERNOTEXIST",
		}
	case "WeCom":
		return outcomes{"order": paid, "order, unknown": "720501"}
	}
	return outcomes{"order": paid, "order, unknown": "ORDER_NOT_EXIST"}
}

func wantModule() outcomes {
	return outcomes{
		"refund":                      "0 PROCESSING 888",
		"refund, again":               "true",
		"refund, of another amount":   "400 INVALID_REQUEST",
		"query":                       "0 PROCESSING 888",
		"query, unknown":              "404 RESOURCE_NOT_EXISTS",
		"call of an unknown function": "function not found",
		"call with another key":       "signature verification failed",

		// Who called, through what, and with which data.
		"call of a function":            `["","scf",{"a":1}]`,
		"call of a function for a user": `["oSomebody","wx_client,scf",{"a":1}]`,
		"call of a function that fails": "it broke",
	}
}

func wantCloudPay() outcomes {
	return outcomes{
		"CloudPay refund":                "SUCCESS SUCCESS 100 10",
		"CloudPay refund, sum as text":   "FAIL 参数格式校验错误",
		"CloudPay refund, unknown order": "FAIL 订单不存在",
		"CloudPay query":                 "PROCESSING R2 9",
	}
}

func wantWeCom() outcomes {
	return outcomes{
		"refund":                          "R_1-|*@ 888 CNY",
		"refund, with another token":      "40014",
		"query":                           "SUCCESS 888",
		"query, unknown":                  "720509",
		"query, of a number that is none": "40058",
		"tokens":                          "1",
		"token, with another secret":      "errcode=40001",
	}
}

// try runs a client for every kind of merchant who can use it.
func (c client) try(t *testing.T, run func(t *testing.T, kind string) *stage) {
	t.Helper()
	of := c.kinds
	if len(of) == 0 {
		of = []string{""}
	}
	for _, kind := range of {
		t.Run(strings.TrimSpace(strings.ReplaceAll(c.pinned, "/", " ")+" "+c.system+" "+kind), func(t *testing.T) {
			s := run(t, kind)
			if d := cmp.Diff(c.want(kind, s.credentials["platform_serial"]), s.outcomes); d != "" {
				t.Errorf("what comes of it (-want +got):\n%s", d)
			}
		})
	}
}

// TestGoClients has programs in Go refund, ask and read notifications.
func TestGoClients(t *testing.T) {
	for _, c := range matrix {
		if c.program == nil {
			continue
		}
		c.try(t, func(t *testing.T, kind string) *stage {
			r := new(sandboxtest.Receiver)
			s := newStage(t, kind, r)
			c.program(s, r)
			return s
		})
	}
}
