package host

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"wxrefund/shared/secret"
)

// A server token has so many characters that nobody guesses it, however often he
// may try. There may be two, so that a new one can be given out while the old one
// is still in use.
const (
	minToken  = 32
	maxTokens = 2
)

// readTokens reads the server tokens. An error never quotes them.
func readTokens(text string) ([]secret.Value[string], error) {
	const rule = "REFUND_SERVER_TOKEN: want one token, or a new and an old one with a comma between, each of at least 32 visible ASCII characters"
	var all []secret.Value[string]
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, secret.Text(part))
		}
	}
	if len(all) > maxTokens {
		return nil, errors.New(rule + "; there are more than two")
	}
	if len(all) == 0 && strings.TrimSpace(text) != "" {
		return nil, errors.New(rule + "; there is none")
	}
	for i, token := range all {
		why := ""
		switch text := token.Reveal(); {
		// What does not fit into one header line could never be brought.
		case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
			why = " has another character"
		case len(text) < minToken:
			why = " is shorter"
		default:
			continue
		}
		which := "it"
		if len(all) > 1 {
			which = "the " + []string{"first", "second"}[i] + " of two"
		}
		return nil, errors.New(rule + "; " + which + why)
	}
	return all, nil
}

// bringsToken reports whether a request brings one of the server tokens, in its one
// Authorization header. Digests are compared, each with all, so that how long it
// takes tells neither how much of a token was right nor how long it is.
func (id Identity) bringsToken(h http.Header) bool {
	given := h.Values("Authorization")
	if len(given) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	digest, found := sha256.Sum256([]byte(strings.Trim(token, " "))), 0
	for _, t := range id.ServerTokens {
		want := sha256.Sum256([]byte(t.Reveal()))
		found |= subtle.ConstantTimeCompare(digest[:], want[:])
	}
	return found == 1
}
