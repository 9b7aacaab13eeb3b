package config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/ledger"
)

// A Variable is one setting, as README's configuration table shows it.
type Variable struct {
	Name    string
	Meaning string
}

// Variables lists every variable that the system reads, the host's included.
func Variables() []Variable {
	return []Variable{
		{"WXPAY_CHANNEL", "upstream system: `apiv3` (default), `cloudbase`, `cloudpay`, `global`, `wecom`"},
		{"WXPAY_APPID", "mini-program or official account; global, wecom"},
		{"WXPAY_MCHID", "merchant number; a service provider's own"},
		{"WXPAY_SUB_MCHID", "a service provider's sub-merchant, absent for a direct merchant; cloudpay: the merchant itself"},
		{"WXPAY_SUB_APPID", "a sub-merchant's account; global, institutional mode"},
		{"WXPAY_SERIAL_NO", "serial number of the merchant API certificate"},
		{"WXPAY_PRIVATE_KEY", "its private key: PEM, PEM with literal `\\n`, or `file:PATH`"},
		{"WXPAY_APIV3_KEY", "APIv3 key, 32 bytes; `new,old` while it is changed"},
		{"WXPAY_PUBLIC_KEY_ID", "id of the WeChat Pay public key, `new,old` while it is changed; absent: platform certificates are downloaded, kept and refreshed"},
		{"WXPAY_PUBLIC_KEY", "that public key: PEM, PEM with literal `\\n`, or `file:PATH`; two behind each other, in the order of the ids"},
		{"WXPAY_API_KEY", "v2 key, 32 bytes, `new,old` while it is changed: global, and v2 notifications"},
		{"WXPAY_SIGN_TYPE", "`MD5` (default) or `HMAC-SHA256`; global"},
		{"WXPAY_CLIENT_CERT", "merchant API certificate for mutual TLS; global"},
		{"WXPAY_CLIENT_KEY", "its private key; global"},
		{"WXPAY_CA_CERT", "certificate authority of the server; absent: the system's"},
		{"WXPAY_NOTIFY_URL", "sent with each refund: where notifications go; absent: as set on the merchant platform"},
		{"WXPAY_BASE_URL", "another host for the channel (the sandbox)"},
		{"TCB_ENV", "CloudBase environment; cloudbase, cloudpay"},
		{"TCB_API_URL", "another address of the CloudBase gateway"},
		{"TENCENTCLOUD_SECRETID", "credentials for the gateway; in SCF the platform lends them to each request"},
		{"TENCENTCLOUD_SECRETKEY", "the same"},
		{"TENCENTCLOUD_SESSIONTOKEN", "the same"},
		{"CLOUDPAY_CALLBACK_FUNCTION", "function that CloudPay tells of settled refunds (`notify`)"},
		{"CLOUDPAY_TRUST_RELAY", "`true`: where CloudPay's queries answer with empty lists, believe what a server's relay tells"},
		{"WECOM_CORPID", "WeCom"},
		{"WECOM_CORPSECRET", "WeCom"},
		{"NOTIFY_FUNCTIONS", "comma-separated `scf:name`: cloud functions of `TCB_ENV` that are told of each refund that settles"},
		{"NOTIFY_WEBHOOK_URL", "https address that is told the same, signed as Standard Webhooks"},
		{"NOTIFY_WEBHOOK_SECRET", "what it is signed with: base64 of 24 to 64 bytes, with or without `whsec_`; `new old`, with a space between, signs with both"},
		{"LEDGER_URL", "`sqlite:PATH`, `sqlite::memory:`, `postgres://…`, `mysql://…`, `dynamodb://TABLE?region=…&endpoint=…`"},
		{"LEDGER_ALLOW_SQLITE", "`true`: SQLite even on SCF or Lambda, whose disks are private and pass away"},
		{"REFUND_OPERATORS", "comma-separated openids that may refund and query anything; empty: no mini-program user may"},
		{"REFUND_MAX_FEN", "most that one user's refund may be, in fen (CNY; other currencies are denied to users while it is set)"},
		{"REFUND_PACE", "least time between two refunds of one order; default `1m`, `0s` for none"},
		{"REFUND_TRUST_FUNCTIONS", "`true`: a user who comes through another function of the merchant's counts as a server"},
		{"REFUND_CLIENT_SOURCES", "tokens of `TCB_SOURCE` that mean a client, beside those that are known to"},
		{"REFUND_SERVER_SOURCES", "tokens that mean a server, beside an empty source, `scf` and `wx_trigger`; a token that nobody knows means nobody"},
		{"REFUND_SERVER_TOKEN", "plain HTTP only: `Authorization: Bearer` with it means a server; 32 characters or more, `new,old` while it is changed"},
		{"TRUST_WX_HEADERS", "`true`, plain HTTP only: believe `x-wx-openid` and `x-wx-source`, behind a gateway that sets them"},
		{"LOG_LEVEL", "`debug`, `info` (default), `warn`, `error`"},
	}
}

// A reader reads variables and remembers every problem.
type reader struct {
	getenv  func(string) string
	found   []error
	gateway *cloudbase.Gateway // what gateway made, for all who call through it
}

func (r *reader) problem(name, what string) {
	e := fmt.Errorf("%s %s", name, what)
	if !slices.ContainsFunc(r.found, func(f error) bool { return f.Error() == e.Error() }) {
		r.found = append(r.found, e)
	}
}

// problems returns all of them as one error, a line each.
func (r *reader) problems() error { return errors.Join(r.found...) }

func (r *reader) raw(name string) string { return strings.TrimSpace(r.getenv(name)) }

// get returns a setting of one line. What else is in one, a line feed for example
// that came along from a form, would reach headers and signed messages, where it
// fails at the first refund and names nobody.
func (r *reader) get(name string) string {
	v := r.raw(name)
	if !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl) {
		r.problem(name, "holds a control character, or bytes that are not UTF-8")
		return ""
	}
	return v
}

func (r *reader) required(name string) string {
	if r.raw(name) == "" {
		r.problem(name, "is missing")
	}
	return r.get(name)
}

// pem returns a key or certificate in PEM; parsers take literal \n as well.
func (r *reader) pem(name string) string {
	v := r.raw(name)
	path, ok := strings.CutPrefix(v, "file:")
	if !ok {
		return v
	}
	b, err := os.ReadFile(path)
	if err != nil {
		r.problem(name, "names a file that cannot be read")
		return ""
	}
	return string(b)
}

func (r *reader) requiredPEM(name string) string {
	if r.raw(name) == "" {
		r.problem(name, "is missing")
	}
	return r.pem(name)
}

// parsed reads a variable and parses it; absent, it is the zero value. A
// parser's own text is left out, since it might quote the value.
func parsed[T any](r *reader, name string, read func(string) string, parse func(string) (T, error)) T {
	var zero T
	v := read(name)
	if v == "" {
		return zero
	}
	t, err := parse(v)
	if err != nil {
		r.problem(name, "is malformed: "+forms()[name])
		return zero
	}
	return t
}

// forms says what a malformed secret should look like.
func forms() map[string]string {
	return map[string]string{
		"WXPAY_PRIVATE_KEY": "it must be an RSA private key of at least 2048 bits in PEM",
		"WXPAY_PUBLIC_KEY":  "it must be an RSA public key in PEM",
		"WXPAY_APIV3_KEY":   "it must have 32 bytes",
		"WXPAY_API_KEY":     "it must have 32 bytes",
		"WXPAY_CA_CERT":     "it must be one or more certificates in PEM",

		"NOTIFY_WEBHOOK_SECRET": "it must be base64 of 24 to 64 bytes",
	}
}

func (r *reader) oneOf(name, fallback string, allowed ...string) string {
	v := r.get(name)
	if v == "" {
		return fallback
	}
	if !slices.Contains(allowed, v) {
		r.problem(name, "must be one of "+strings.Join(allowed, ", "))
	}
	return v
}

func (r *reader) bool(name string) bool { return r.oneOf(name, "false", "true", "false") == "true" }

func (r *reader) list(name string) []string {
	var list []string
	for _, v := range strings.Split(r.get(name), ",") {
		if v = strings.TrimSpace(v); v != "" {
			list = append(list, v)
		}
	}
	return list
}

func (r *reader) fen(name string) int64 {
	v := r.get(name)
	if v == "" {
		return 0
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 1 {
		r.problem(name, "must be a whole number of fen, at least 1")
	}
	return n
}

func (r *reader) duration(name string) time.Duration {
	v := r.get(name)
	if v == "" {
		return 0
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		r.problem(name, "must be a time such as 60s or 1m")
	}
	return d
}

// url reads an absolute http or https address without a query, which WeChat Pay
// does not allow in notification addresses.
func (r *reader) url(name string) string {
	v := r.get(name)
	if v == "" {
		return ""
	}
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || len(v) > 256 {
		r.problem(name, "must be an http or https address without query, of at most 256 characters")
		return ""
	}
	return strings.TrimSuffix(v, "/")
}

// hosts is where the channel is reached, if not where it is in the world.
func (r *reader) hosts() []string {
	if base := r.url("WXPAY_BASE_URL"); base != "" {
		return []string{base}
	}
	return nil
}

// ledgerURL reads where the ledger stands. The disk of a cloud function is
// private to one instance and passes away with it, so a ledger there is lost money.
func ledgerURL(r *reader) string {
	v := r.required("LEDGER_URL")
	if scheme, _, ok := strings.Cut(v, ":"); v != "" && (!ok || !slices.Contains(ledger.Schemes(), scheme)) {
		r.problem("LEDGER_URL", "must begin with "+strings.Join(ledger.Schemes(), ": or ")+":")
	}
	cloud := r.get("_LAMBDA_SERVER_PORT") != "" || r.get("AWS_LAMBDA_RUNTIME_API") != ""
	if cloud && strings.HasPrefix(v, "sqlite:") && !r.bool("LEDGER_ALLOW_SQLITE") {
		r.problem("LEDGER_URL", "is SQLite, which loses refunds on SCF and Lambda; LEDGER_ALLOW_SQLITE=true allows it all the same")
	}
	return v
}
