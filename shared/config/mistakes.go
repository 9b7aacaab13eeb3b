package config

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	"wxrefund/shared/spelling"
)

// What people do to settings on the way: each has a message of its own, since "is
// malformed" sends them to the value, which is often right. No message holds a value.

// mistake says what has happened to a value that cannot be meant as it stands; "":
// nothing.
func mistake(v string) string {
	quoted := func(open, end string) bool {
		return len(v) >= len(open)+len(end) && strings.HasPrefix(v, open) && strings.HasSuffix(v, end)
	}
	switch {
	case v == "undefined" || v == "null":
		return "is the word " + v + ": the tool that deployed it knows no such variable; leave it empty where you deploy from, or fill it in"
	case quoted("{{", "}}") || quoted("${", "}"):
		return "is a placeholder that the tool that deployed it has not filled in"
	case quoted(`"`, `"`) || quoted("'", "'") || quoted("“", "”"):
		return "has quotes around it: leave them out"
	}
	return ""
}

// pemMistake says what a value is, if it is not the kind of PEM that is wanted
// ("PRIVATE KEY", "PUBLIC KEY", "CERTIFICATE"); "": it is, or nobody can tell.
func pemMistake(v, want string) string {
	_, after, begins := strings.Cut(v, "-----BEGIN ")
	kind, _, _ := strings.Cut(after, "-----")
	switch {
	case !begins && (strings.HasSuffix(v, ".pem") || strings.HasSuffix(v, ".key") || strings.HasSuffix(v, ".crt")):
		return "it is the name of a file, which is written file:PATH"
	case !begins:
		return "it is no PEM: the lines with dashes, the first and the last, belong to it"
	case !strings.Contains(after, "-----END "):
		return "it breaks off before its last line: only a part of it has arrived"
	case strings.Contains(kind, "ENCRYPTED"):
		return "it is a private key behind a password"
	case strings.HasSuffix(kind, want):
		return ""
	case strings.HasSuffix(kind, "PRIVATE KEY"):
		return "it is a private key"
	case strings.HasSuffix(kind, "PUBLIC KEY"):
		return "it is a public key"
	case strings.HasSuffix(kind, "CERTIFICATE"):
		return "it is a certificate"
	}
	return ""
}

// malformed says what is wrong with the value of a secret: what it is, as far as
// that can be told without showing it, and what it should be.
func malformed(name, v string) string {
	is := ""
	switch name {
	case "WXPAY_PRIVATE_KEY", "WXPAY_CLIENT_KEY":
		is = pemMistake(v, "PRIVATE KEY")
	case "WXPAY_PUBLIC_KEY":
		is = pemMistake(v, "PUBLIC KEY")
	case "WXPAY_CLIENT_CERT", "WXPAY_CA_CERT":
		is = pemMistake(v, "CERTIFICATE")
	case "WXPAY_APIV3_KEY", "WXPAY_API_KEY":
		is = fmt.Sprintf("it has %d bytes", len(v))
	}
	if is != "" {
		is += "; "
	}
	return is + "it must " + map[string]string{
		"WXPAY_PRIVATE_KEY":     "be an RSA private key of at least 2048 bits in PEM",
		"WXPAY_PUBLIC_KEY":      "be an RSA public key in PEM",
		"WXPAY_APIV3_KEY":       "have 32 bytes",
		"WXPAY_API_KEY":         "have 32 bytes",
		"WXPAY_CLIENT_CERT":     "be a certificate in PEM",
		"WXPAY_CLIENT_KEY":      "be an RSA private key of at least 2048 bits in PEM",
		"WXPAY_CA_CERT":         "be one or more certificates in PEM",
		"NOTIFY_WEBHOOK_SECRET": "be base64 of 24 to 64 bytes",
	}[name]
}

// misspelt finds, among the names of variables, those that are nearly one of ours:
// a limit that is not read is a limit that does not hold. A name whose nearest setting
// is set, or is not for this channel, is that of a program of the merchant's own, for
// all that can be known; [Unread] names the first of these.
func (r *reader) misspelt(names []string) {
	for name, s := range r.nearly(names) {
		if !r.elsewhere && strings.HasPrefix(name, "TCB_") {
			continue // CloudBase sets some of its own where functions run
		}
		if _, required := s.Reads(r.channel()); strings.HasSuffix(s.Name, "APPID") && !required {
			continue // WXPAY_APP_ID is what other programs call theirs, and nothing is lost without
		}
		if _, ok := cloudBaseLedger(r.raw("LEDGER_URL")); s.Name == "CLOUDBASE_APIKEY" && !ok {
			continue // the merchant's own programs may call theirs CLOUDBASE_API_KEY
		}
		if r.raw(s.Name) == "" && !strings.HasPrefix(s.Name, "TENCENTCLOUD_") { // other tools have TENCENTCLOUD_SECRET_ID
			r.problem(name, "is not a setting: did you mean "+s.Name+"?")
		}
	}
}

// Unread lists what nobody reads although it is nearly a setting, or begins as those of
// refunds and alarms do, and [Load] lets be: it may be another program's. It names the
// process's variables and names, a sentence each.
func Unread(getenv func(string) string, names ...string) (unread []string) {
	r := &reader{getenv: getenv}
	names = append(environ(), names...)
	told := isSetting()
	for name, s := range r.nearly(names) {
		told[name] = true
		unread = append(unread, name+" is not a setting, and is not read: "+s.Name+" is")
	}
	for _, name := range sorted(names) {
		ours := slices.ContainsFunc([]string{"REFUND_", "ALERT_"}, func(begin string) bool { return strings.HasPrefix(name, begin) })
		if ours && !told[name] && r.raw(name) != "" {
			unread = append(unread, name+" is not a setting, and is not read")
		}
	}
	return unread
}

// isSetting has the name of every setting.
func isSetting() map[string]bool {
	known := map[string]bool{}
	for _, s := range Settings() {
		known[s.Name] = true
	}
	return known
}

// sorted are the names in order, each once.
func sorted(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }

func (r *reader) channel() string { return cmp.Or(r.raw("WXPAY_CHANNEL"), "apiv3") }

// nearly yields the names of set variables that are nearly a setting which this channel
// reads, and that setting, in the order of the names.
func (r *reader) nearly(names []string) iter.Seq2[string, Setting] {
	settings, known := Settings(), isSetting()
	channel := r.channel()
	return func(yield func(string, Setting) bool) {
		for _, name := range sorted(names) {
			if known[name] || r.raw(name) == "" {
				continue
			}
			best, least := Setting{}, 3
			for _, s := range settings {
				d := misspelling(name, s.Name)
				if d < least || d == least && d < 3 && r.raw(s.Name) != "" {
					best, least = s, d
				}
			}
			if reads, _ := best.Reads(channel); reads && !yield(name, best) {
				return
			}
		}
	}
}

// misspelling tells how many letters of a name are not as in the right one; 3 or more:
// it is another name. Underscores and the case of letters do not count. A name that
// lacks the last word, as REFUND_MAX does, counts as 2.
func misspelling(name, right string) int {
	name = strings.ToUpper(name)
	prefix, rest, _ := strings.Cut(right, "_")
	if !slices.Contains([]string{"WXPAY", "REFUND", "RECONCILE", "NOTIFY", "LEDGER", "CLOUDPAY", "CLOUDBASE", "WECOM", "ALERT", "TRUST", "TCB", "TENCENTCLOUD", "LOG"}, prefix) || !strings.HasPrefix(name, prefix) {
		return 3
	}
	letters := func(s string) string { return strings.ReplaceAll(s, "_", "") }
	got, want := letters(strings.TrimPrefix(name, prefix)), letters(rest)
	d := spelling.Distance(got, want)
	switch {
	case got != "" && name == right[:strings.LastIndex(right, "_")]:
		return min(d, 2)
	case d > 1 && prefix == "LOG":
		return 3 // LOG_LEVEL_DB and the like are others'
	case d > 1 && len(want) < 6 && !strings.HasPrefix(got, want):
		return 3 // a short one is near to too many
	}
	return d
}
