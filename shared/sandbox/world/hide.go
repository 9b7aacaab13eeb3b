package world

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// hidden stands for what must not be written down.
const hidden = "****"

// signatures are the schemes of Authorization that hold no secret.
var signatures = []string{"WECHATPAY2-SHA256-RSA2048", "TC3-HMAC-SHA256"}

// hideHeader masks what lets somebody in, and who a user is.
func hideHeader(name, value string) string {
	switch lower := strings.ToLower(name); {
	case lower == "authorization":
		scheme, _, ok := strings.Cut(value, " ")
		switch {
		case slices.Contains(signatures, scheme):
			return value
		case ok:
			return scheme + " " + hidden
		}
		return hidden
	case strings.Contains(lower, "cookie"), strings.Contains(lower, "openid"), lower == "proxy-authorization", secretName(lower):
		return hidden
	}
	return value
}

// secretWords end the names of secrets, those of a person among them.
var secretWords = []string{"token", "secret", "password", "bank_account", "real_name"}

// secretName tells whether what goes by a name is a secret.
func secretName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(secretWords, func(word string) bool { return strings.HasSuffix(name, word) })
}

// SecretsOf are the values of variables that go by the name of a secret; of several with
// commas between them, each.
func SecretsOf(variables map[string]string) (out []string) {
	for name, value := range variables {
		if !secretName(name) {
			continue
		}
		for each := range strings.SplitSeq(value, ",") {
			if each = strings.TrimSpace(each); len(each) >= leastSecret {
				out = append(out, each)
			}
		}
	}
	return out
}

// hideQuery masks the secrets of a query, and has them masked wherever else they stand.
func (r *Record) hideQuery(uri string) string {
	path, query, ok := strings.Cut(uri, "?")
	if !ok {
		return uri
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); value == "" || err == nil && !secretName(plain) {
			continue
		}
		pairs[i] = name + "=" + hidden
		if plain, err := url.QueryUnescape(value); err == nil && len(plain) >= leastSecret {
			r.Hide(plain)
		}
	}
	return path + "?" + strings.Join(pairs, "&")
}

// leastSecret is how long a text must be for it to be looked for everywhere: a shorter one is
// no secret, and would be found in other words.
const leastSecret = 8

// Secrets in bodies: members of JSON, also of such that is a text in other JSON, and parts of
// a form.
var (
	anySecret    = strings.Join(secretWords, "|")
	secretMember = regexp.MustCompile(`(?i)(\\*"[\w-]*(?:` + anySecret + `)\\*"\s*:\s*\\*")(?:[^"\\]|\\+[/bfnrtu])+`)
	secretPart   = regexp.MustCompile(`(?i)(name="[\w-]*(?:` + anySecret + `)"\r?\n(?:[^\r\n]+\r?\n)*\r?\n)[^\r\n]+`)
)

// hide masks all secrets of the exchange: those that it was told, those of the keys and of the
// merchant's side, and what goes by the name of one.
func (r *Record) hide() {
	k := r.world.Keys
	secrets := append(r.hidden, k.apiV3Text.Reveal(), k.apiText.Reveal(), k.CorpSecret.Reveal(), k.SecretKey.Reveal(), k.CloudBaseKey.Reveal())
	secrets = append(secrets, r.world.cfg.Secrets...)
	mask := func(text *string) {
		for _, s := range secrets {
			if s != "" {
				*text = strings.ReplaceAll(*text, s, hidden)
			}
		}
	}
	mask(&r.x.Path)
	mask(&r.x.Name)
	for _, m := range []*Message{&r.x.Request, &r.x.Response} {
		for i := range m.Headers {
			mask(&m.Headers[i][1])
		}
		for _, text := range []*string{&m.Body, &m.Opened} {
			// The expressions are slow, and hardly ever needed.
			lower := strings.ToLower(*text)
			if slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(lower, word) }) {
				*text = secretMember.ReplaceAllString(*text, "${1}"+hidden)
				*text = secretPart.ReplaceAllString(*text, "${1}"+hidden)
			}
			mask(text)
		}
	}
	for i := range r.x.Checks {
		mask(&r.x.Checks[i].Detail)
	}
}
