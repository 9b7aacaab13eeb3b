package config

import "strings"

// A Setting is one variable that the system reads, for whoever configures it: the
// tables of the documents, .env.example and the deployment files follow this list.
type Setting struct {
	Name     string
	Required string // the channels that do not run without it, a space between
	Optional string // the channels that read it where it is there
	In       Place  // where a deployment sets it
	Injected bool   // CloudBase and SCF hand it to each request by themselves
	Secret   bool   // nobody may read its value
	Preset   string // the value that .env.example begins with
	Example  string // none of a secret that has no form of its own
	English  string // its meaning, in Markdown
	Chinese  string
}

// A Place is where a function runs; a setting may be for several.
type Place uint8

const (
	SCF    Place = 1 << iota // an event function of CloudBase or SCF
	Lambda                   // AWS Lambda
	Web                      // plain HTTP: a container, a web function
	Local                    // one's own machine: the sandbox, tests
)

const everywhere = SCF | Lambda | Web | Local

// Reads tells whether a channel reads the setting, and whether it needs it.
func (s Setting) Reads(channel string) (reads, required bool) {
	required = has(s.Required, channel)
	return required || has(s.Optional, channel), required
}

func has(list, word string) bool {
	return strings.Contains(" "+list+" ", " "+word+" ")
}

// Channels lists the upstream systems.
func Channels() []string { return strings.Fields(allChannels) }

const allChannels = "apiv3 cloudbase cloudpay global wecom"

// Settings lists every variable that the system reads, those of package host included.
func Settings() []Setting {
	const all = allChannels
	return []Setting{
		{Name: "LEDGER_URL", Required: all, In: everywhere, Secret: true, Example: "cloudbase:shop-1g2h3j4k5l",
			English: "the ledger: `cloudbase:ENV_ID` (the environment's own PostgreSQL, by HTTPS), `mysql://…`, `postgres://…`, `dynamodb://TABLE?region=…&endpoint=…`, `sqlite:PATH`, `sqlite::memory:`; user and password percent-encoded (`#` is `%23`)",
			Chinese: "账本：`cloudbase:环境 ID`（云开发环境自带的 PostgreSQL，走 HTTPS）、`mysql://…`、`postgres://…`、`dynamodb://表名?region=…&endpoint=…`、`sqlite:路径`、`sqlite::memory:`；用户名和密码须百分号编码（`#` 写成 `%23`）"},
		{Name: "LEDGER_ALLOW_SQLITE", Optional: all, In: Local, Example: "true",
			English: "`true`: SQLite even on SCF or Lambda, whose disks are private and pass away",
			Chinese: "`true`：在 SCF、Lambda 上也允许 SQLite（其磁盘是临时的）"},

		{Name: "WXPAY_CHANNEL", Optional: all, In: everywhere, Preset: "apiv3", Example: "apiv3",
			English: "upstream system: `apiv3` (default), `cloudbase`, `cloudpay`, `global`, `wecom`",
			Chinese: "上游系统：`apiv3`（默认）、`cloudbase`、`cloudpay`、`global`、`wecom`"},
		{Name: "WXPAY_APPID", Required: "global wecom", Optional: "apiv3 cloudbase cloudpay", In: everywhere, Example: "wx8888888888888888",
			English: "AppID of the mini-program or official account; where it is set, subscribers hear of refunds that the daily bill alone knows only if they are this AppID's",
			Chinese: "小程序或公众号 AppID；设置后，仅从每日账单得知的退款只有属于该 AppID 的才通知订阅者"},
		{Name: "WXPAY_MCHID", Required: "apiv3 cloudbase global wecom", Optional: "cloudpay", In: everywhere, Example: "1900000109",
			English: "merchant number; a service provider's own",
			Chinese: "商户号；服务商填自己的"},
		{Name: "WXPAY_SUB_MCHID", Required: "cloudpay", Optional: "apiv3 cloudbase global", In: everywhere, Example: "1900000110",
			English: "a service provider's sub-merchant, absent for a direct merchant; cloudpay: the merchant itself",
			Chinese: "服务商的子商户号，直连商户不填；cloudpay 填商户自己的号"},
		{Name: "WXPAY_SUB_APPID", Optional: all, In: everywhere, Example: "wx6666666666666666",
			English: "AppID of a sub-merchant: global, in institutional mode; elsewhere a second one of those refunds",
			Chinese: "子商户 AppID：global 机构模式；其他上游为上述退款的第二个 AppID"},
		{Name: "WXPAY_SERIAL_NO", Required: "apiv3", Optional: "cloudbase", In: everywhere, Example: "5157F09EFDC096DE15EBE81A47057A7232F1B8E1",
			English: "serial number of the merchant API certificate; cloudbase: with the private key and the APIv3 key, for the daily bill",
			Chinese: "商户 API 证书的序列号；cloudbase：与私钥、APIv3 密钥一起填写，用于读取每日账单"},
		{Name: "WXPAY_PRIVATE_KEY", Required: "apiv3", Optional: "cloudbase", In: everywhere, Secret: true, Example: "file:apiclient_key.pem",
			English: "private key of the merchant API certificate (`apiclient_key.pem`): PEM, PEM with literal `\\n`, or `file:PATH`",
			Chinese: "商户 API 证书的私钥（`apiclient_key.pem`）：PEM 原文、以 `\\n` 连接的单行 PEM，或 `file:路径`"},
		{Name: "WXPAY_APIV3_KEY", Required: "apiv3", Optional: "cloudbase", In: everywhere, Secret: true,
			English: "APIv3 key, 32 bytes; `new,old` while it is changed",
			Chinese: "APIv3 密钥，32 字节；更换期间写 `新,旧`"},
		{Name: "WXPAY_PUBLIC_KEY_ID", Optional: "apiv3 cloudbase", In: everywhere, Example: "PUB_KEY_ID_0119000001092026112200000001",
			English: "id of the WeChat Pay public key, `new,old` while it is changed; absent: platform certificates are downloaded, kept and refreshed",
			Chinese: "微信支付公钥 ID，更换期间写 `新,旧`；不填则下载、缓存并刷新平台证书"},
		{Name: "WXPAY_PUBLIC_KEY", Optional: "apiv3 cloudbase", In: everywhere, Example: "file:pub_key.pem",
			English: "that public key: PEM, PEM with literal `\\n`, or `file:PATH`; two behind each other, in the order of the ids",
			Chinese: "微信支付公钥：PEM 原文、以 `\\n` 连接的单行 PEM，或 `file:路径`；两把时按 ID 的顺序前后相接"},
		{Name: "WXPAY_API_KEY", Required: "global", Optional: "apiv3 cloudbase cloudpay wecom", In: everywhere, Secret: true,
			English: "APIv2 key, 32 bytes; `new,old` while it is changed; for global, and for v2 notifications",
			Chinese: "APIv2 密钥，32 字节；更换期间写 `新,旧`；用于 global 及 v2 通知"},
		{Name: "WXPAY_SIGN_TYPE", Optional: "global", In: everywhere, Example: "HMAC-SHA256",
			English: "`MD5` (default) or `HMAC-SHA256`",
			Chinese: "`MD5`（默认）或 `HMAC-SHA256`"},
		{Name: "WXPAY_CLIENT_CERT", Required: "global", In: everywhere, Example: "file:apiclient_cert.pem",
			English: "merchant API certificate (`apiclient_cert.pem`), for mutual TLS: PEM, PEM with literal `\\n`, or `file:PATH`",
			Chinese: "商户 API 证书（`apiclient_cert.pem`），用于双向 TLS：PEM 原文、以 `\\n` 连接的单行 PEM，或 `file:路径`"},
		{Name: "WXPAY_CLIENT_KEY", Required: "global", In: everywhere, Secret: true, Example: "file:apiclient_key.pem",
			English: "its private key (`apiclient_key.pem`), in the same forms",
			Chinese: "该证书的私钥（`apiclient_key.pem`），写法同上"},
		{Name: "WXPAY_CA_CERT", Optional: "global", In: Local, Example: "file:ca.pem",
			English: "certificate authority of the server; absent: the system's",
			Chinese: "服务器证书的 CA；不填用系统的"},
		{Name: "WXPAY_NOTIFY_URL", Optional: "apiv3 global", In: everywhere, Example: "https://shop.example/refund-notify",
			English: "sent with each refund: where notifications go; absent: as set on the merchant platform",
			Chinese: "退款通知地址；不填则用商户平台上设置的"},
		{Name: "WXPAY_BASE_URL", Optional: "apiv3 cloudbase global wecom", In: Local, Example: "http://127.0.0.1:8701",
			English: "another host for the channel (the sandbox)",
			Chinese: "更换接口域名（沙箱）"},

		{Name: "TCB_ENV", Required: "cloudbase cloudpay", Optional: "apiv3 global wecom", In: everywhere, Example: "shop-1g2h3j4k5l",
			English: "id of the CloudBase environment; absent: that of a ledger `cloudbase:ENV_ID`",
			Chinese: "云开发环境 ID；不填则取账本 `cloudbase:环境 ID` 中的"},
		{Name: "CLOUDBASE_APIKEY", Optional: all, In: SCF | Web | Local, Secret: true,
			English: "server key of the CloudBase environment, for a ledger `cloudbase:ENV_ID`, the gateway and `NOTIFY_FUNCTIONS`; goes before the credentials that SCF lends each request, and is needed where nothing lends any (web functions, containers, your own machine)",
			Chinese: "云开发环境的服务端 ApiKey，用于账本 `cloudbase:环境 ID`、网关和 `NOTIFY_FUNCTIONS`；优先于 SCF 随请求注入的临时密钥，平台不注入时（Web 函数、容器、本机）必须设置"},
		{Name: "TCB_API_URL", Optional: all, In: Local, Example: "http://127.0.0.1:8701/admin",
			English: "another address of the CloudBase gateway",
			Chinese: "更换云开发网关地址"},
		{Name: "TENCENTCLOUD_SECRETID", Optional: all, In: Lambda | Web | Local, Injected: true, Secret: true,
			English: "credentials for the gateway without `CLOUDBASE_APIKEY`; in SCF the platform lends them to each request",
			Chinese: "没有 `CLOUDBASE_APIKEY` 时的网关凭证；在 SCF 上由平台随每次请求注入"},
		{Name: "TENCENTCLOUD_SECRETKEY", Optional: all, In: Lambda | Web | Local, Injected: true, Secret: true,
			English: "the same",
			Chinese: "同上"},
		{Name: "TENCENTCLOUD_SESSIONTOKEN", Optional: all, In: Web | Local, Injected: true, Secret: true,
			English: "the same, where the two before are lent",
			Chinese: "同上，仅用于临时凭证"},
		{Name: "CLOUDPAY_CALLBACK_FUNCTION", Optional: "cloudpay", In: everywhere, Example: "notify",
			English: "function that CloudPay calls when a refund has settled (`notify`)",
			Chinese: "云支付退款结果通知的云函数（`notify`）"},
		{Name: "CLOUDPAY_TRUST_RELAY", Optional: "cloudpay", In: SCF | Web | Local, Example: "true",
			English: "`true`: where CloudPay's queries answer with empty lists, believe what a server's relay brings",
			Chinese: "`true`：云支付查询只返回空列表时，以服务端转发的通知为准"},
		{Name: "WECOM_CORPID", Required: "wecom", In: everywhere, Example: "ww1234567890abcdef",
			English: "the company's id at WeCom",
			Chinese: "企业微信的企业 ID"},
		{Name: "WECOM_CORPSECRET", Required: "wecom", In: everywhere, Secret: true,
			English: "secret of the WeCom application that collects payments",
			Chinese: "企业微信收款应用的 Secret"},

		{Name: "REFUND_OPERATORS", Optional: all, In: everywhere, Example: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
			English: "comma-separated openids that may refund and query anything; empty: no mini-program user may",
			Chinese: "可以退款和查询的 openid，逗号分隔；为空则小程序用户都不可以"},
		{Name: "REFUND_MAX_FEN", Optional: all, In: everywhere, Example: "50000",
			English: "most that one user's refund may be, or one made with `operate`, in fen (CNY; other currencies are denied to both while it is set)",
			Chinese: "用户单笔退款、`operate` 单笔退款的上限，单位分（仅 CNY；设置后两者都不能退其他币种）"},
		{Name: "REFUND_APPROVAL_FEN", Optional: all, In: everywhere, Example: "20000",
			English: "most that one operator, or one person at `operate`, may refund of one order within 24 hours, in fen (CNY); above it the refund waits for another operator's approval; absent: no approval is asked for",
			Chinese: "一名操作员（或 `operate` 的一名使用者）24 小时内对同一订单可退的总额，单位分（仅 CNY）；超过时须由另一名操作员批准；不填则无须批准"},
		{Name: "REFUND_VERIFY_ORDER", Optional: all, In: everywhere, Example: "first",
			English: "when WeChat Pay is asked about an order: `first` (default): before its first refund, `always`: before each refund, and none without an answer, `off`: never (not together with `REFUND_SELF`)",
			Chinese: "何时向微信支付查询订单：`first`（默认）：订单首次退款前；`always`：每次退款前，查不到结果就不退；`off`：不查询（不能与 `REFUND_SELF` 同用）"},
		{Name: "REFUND_SELF", Optional: all, In: everywhere, Example: "propose",
			English: "what becomes of a buyer's application for a refund: `off` (default): buyers cannot apply, `propose`: an operator decides, `auto`: it is refunded at once within the three bounds below, and an operator decides beyond them",
			Chinese: "买家的退款申请如何处理：`off`（默认）：买家不能申请；`propose`：由操作员决定；`auto`：在下面三项限制内自动退款，超出的由操作员决定"},
		{Name: "REFUND_SELF_FEN", Optional: all, In: everywhere, Example: "5000",
			English: "most that one order may get by itself, all of its automatic refunds together, in fen (CNY); `REFUND_SELF=auto` needs it",
			Chinese: "同一订单自动退款的总额上限，单位分（仅 CNY）；`REFUND_SELF=auto` 时必填"},
		{Name: "REFUND_SELF_HOURS", Optional: all, In: everywhere, Example: "24",
			English: "how long after the payment a refund may be automatic, in hours; default `168`",
			Chinese: "付款后多少小时内可以自动退款；默认 `168`"},
		{Name: "REFUND_SELF_DAILY", Optional: all, In: everywhere, Example: "3",
			English: "how many applications of one payer a day may be automatic: the first so many, and those that waited for an operator count too, at most `50`; default `5`",
			Chinese: "同一付款人每天最先的多少份申请可以自动退款，转由操作员决定的也计入，最多 `50`；默认 `5`"},
		{Name: "REFUND_PACE", Optional: all, In: everywhere, Example: "1m",
			English: "least time between two refunds of one order; default `1m`, `0s` for none",
			Chinese: "同一订单两次退款的最小间隔；默认 `1m`，`0s` 为不限"},
		{Name: "REFUND_WAIT_FUNDS", Optional: all, In: everywhere, Example: "true",
			English: "`true`: a refund refused for want of balance waits, and goes on under its number after a top-up, for seven days at most",
			Chinese: "`true`：因余额不足被拒的退款先等待，充值后以原单号自动继续，最多七天"},
		{Name: "RECONCILE_BILL", Optional: all, In: everywhere, Example: "off",
			English: "`off`: the daily bill is not read; default `on`, where the channel has one (`cloudbase`: with APIv3 keys)",
			Chinese: "`off`：不读取每日账单；默认 `on`，前提是上游有账单（`cloudbase` 须配 APIv3 密钥）"},
		{Name: "REFUND_TRUST_FUNCTIONS", Optional: all, In: SCF | Web | Local, Example: "true",
			English: "`true`: a user who comes through another function of the merchant's counts as a server",
			Chinese: "`true`：经由您其他云函数来的用户视为服务端"},
		{Name: "REFUND_CLIENT_SOURCES", Optional: all, In: SCF | Web | Local, Example: "my_app",
			English: "more `TCB_SOURCE` values that mean a client",
			Chinese: "另外哪些 `TCB_SOURCE` 值代表客户端"},
		{Name: "REFUND_SERVER_SOURCES", Optional: all, In: SCF | Web | Local, Example: "my_job",
			English: "more `TCB_SOURCE` values that mean a server, as no value, `scf` and `wx_trigger` do; an unlisted one means nobody",
			Chinese: "除空值、`scf`、`wx_trigger` 以外，另外哪些 `TCB_SOURCE` 值代表服务端；未列入的值视为无身份"},
		{Name: "REFUND_SERVER_TOKEN", Optional: all, In: Web | Local, Secret: true,
			English: "plain HTTP only: `Authorization: Bearer` with it means a server; 32 characters or more, `new,old` while it is changed",
			Chinese: "仅普通 HTTP：带有 `Authorization: Bearer` 此令牌的视为服务端；至少 32 个字符，更换期间写 `新,旧`"},
		{Name: "TRUST_WX_HEADERS", Optional: all, In: Web | Local, Example: "true",
			English: "`true`, plain HTTP only: believe `x-wx-openid`, `x-wx-source` and `x-wx-appid`, behind a gateway that strips and sets them. A CloudBase HTTP function with a public route is not behind one, as far as is documented: whoever knows the route can send them",
			Chinese: "`true`，仅普通 HTTP：信任网关清除并重新设置的 `x-wx-openid`、`x-wx-source`、`x-wx-appid`。有公网路由的云开发 HTTP 函数不算：没有文档说明网关会清除它们，知道路由的人都可以伪造"},

		{Name: "NOTIFY_FUNCTIONS", Optional: all, In: everywhere, Example: "scf:orderCallback",
			English: "comma-separated `scf:name`: cloud functions of `TCB_ENV` that get each refund that settles",
			Chinese: "逗号分隔的 `scf:函数名`：每笔退款有结果时调用的云函数（位于 `TCB_ENV`）"},
		{Name: "NOTIFY_WEBHOOK_URL", Optional: all, In: everywhere, Example: "https://shop.example/hooks",
			English: "https address that gets the same, signed as Standard Webhooks",
			Chinese: "同样内容推送到的 https 地址，按 Standard Webhooks 签名"},
		{Name: "NOTIFY_WEBHOOK_SECRET", Optional: all, In: everywhere, Secret: true,
			English: "what it is signed with: base64 of 24 to 64 bytes, with or without `whsec_`; `new old`, with a space between, signs with both",
			Chinese: "其签名密钥：24 至 64 字节的 base64，可带 `whsec_` 前缀；更换期间写 `新 旧`（以空格分隔），两个都签"},

		{Name: "ALERT_URL", Optional: all, In: everywhere, Secret: true, Example: "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=KEY",
			English: "who is told of alarms: addresses of WeCom, DingTalk and Feishu group robots, or of webhooks (signed as above); up to five, a space between",
			Chinese: "告警发给谁：企业微信、钉钉、飞书群机器人的地址，或 webhook 地址（签名同上）；最多五个，以空格分隔"},
		{Name: "ALERT_SECRET", Optional: all, In: everywhere, Secret: true,
			English: "their secrets, in the same order, `-` where there is none (WeCom never has one): `- SECabc whsec_…`; absent: none has one",
			Chinese: "各自的密钥，顺序相同，没有的写 `-`（企业微信没有）：`- SECabc whsec_…`；都没有则不填"},

		{Name: "LOG_LEVEL", Optional: all, In: everywhere, Preset: "info", Example: "info",
			English: "`debug`, `info` (default), `warn`, `error`",
			Chinese: "`debug`、`info`（默认）、`warn`、`error`"},
	}
}
