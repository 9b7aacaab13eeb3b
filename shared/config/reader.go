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

// A reader reads variables and remembers every problem.
type reader struct {
	getenv  func(string) string
	found   []error
	gateway *cloudbase.Gateway // what gateway made, for all who call through it

	// elsewhere: the settings are another machine's, whose files are not here.
	elsewhere bool
	// thorough: nobody waits, so that what takes longer is looked at as well.
	thorough bool
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

// text returns a setting, or nothing if something has happened to it on the way.
func (r *reader) text(name string) string {
	v := r.raw(name)
	if what := mistake(v); what != "" {
		r.problem(name, what)
		return ""
	}
	return v
}

// get returns a setting of one line. What else is in one, a line feed for example
// that came along from a form, would reach headers and signed messages, where it
// fails at the first refund and names nobody.
func (r *reader) get(name string) string {
	v := r.text(name)
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
	v := r.text(name)
	path, ok := strings.CutPrefix(v, "file:")
	if !ok || r.elsewhere {
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

// parsed reads a variable and parses it; absent, or in a file of another machine, it
// is the zero value. A parser's own text is left out, since it might quote the value.
func parsed[T any](r *reader, name string, read func(string) string, parse func(string) (T, error)) T {
	var zero T
	v := read(name)
	if v == "" || r.away(v) {
		return zero
	}
	t, err := parse(v)
	if err != nil {
		r.problem(name, "is malformed: "+malformed(name, v))
		return zero
	}
	return t
}

// away tells whether a value stands in a file that is not here.
func (r *reader) away(v string) bool { return r.elsewhere && strings.HasPrefix(v, "file:") }

// merchant checks that a setting is a merchant number.
func (r *reader) merchant(name, v string) string {
	switch {
	case strings.HasPrefix(v, "wx"):
		r.problem(name, "is an app id: it must be the merchant number, digits alone")
	case strings.Trim(v, "0123456789") != "":
		r.problem(name, "must be the merchant number, digits alone")
	}
	return v
}

// environment checks that a setting is the id of a CloudBase environment.
func (r *reader) environment(name, v string) string {
	other := func(c rune) bool {
		return !strings.ContainsRune("-_", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	}
	if strings.ContainsFunc(v, other) {
		r.problem(name, "must be the id of a CloudBase environment, such as shop-1g2h3j4k5l")
	}
	return v
}

// serial checks that a setting is the serial number of a certificate.
func (r *reader) serial(name, v string) string {
	const want = "must be the serial number of the merchant API certificate, hexadecimal digits alone"
	switch {
	case strings.HasPrefix(v, "PUB_KEY_ID_"):
		r.problem(name, "is the id of WeChat Pay's public key, which WXPAY_PUBLIC_KEY_ID is for: it "+want)
	case strings.Trim(v, "0123456789abcdefABCDEF") != "":
		r.problem(name, want)
	}
	return v
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

// list reads what stands between commas. Another separator would make one entry of
// several, which then none of them is.
func (r *reader) list(name string) []string {
	var list []string
	for _, v := range strings.Split(r.get(name), ",") {
		if strings.ContainsAny(strings.TrimSpace(v), "，；、;| ") {
			r.problem(name, "must have commas between its entries, as in a,b, and nothing else")
		}
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
		return ""
	}
	cloud := r.get("_LAMBDA_SERVER_PORT") != "" || r.get("AWS_LAMBDA_RUNTIME_API") != ""
	if cloud && strings.HasPrefix(v, "sqlite:") && !r.bool("LEDGER_ALLOW_SQLITE") {
		r.problem("LEDGER_URL", "is SQLite, which loses refunds on SCF and Lambda; LEDGER_ALLOW_SQLITE=true allows it all the same")
		return ""
	}
	if id, ok := cloudBaseLedger(v); ok {
		r.environment("LEDGER_URL", id)
		// On SCF the platform may lend each request what is needed; elsewhere nobody does.
		if r.apiKey() == "" && r.get("_LAMBDA_SERVER_PORT") == "" && (r.get("TENCENTCLOUD_SECRETID") == "" || r.get("TENCENTCLOUD_SECRETKEY") == "") {
			r.problem("CLOUDBASE_APIKEY", "is missing: the ledger at CloudBase is called with it")
		}
	}
	return v
}
