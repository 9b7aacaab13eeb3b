package wxpay

import (
	"crypto/md5"
	"fmt"
	"strings"
	"testing"
)

// checkKeys fails the test if a text holds the key of v2, or what it was given to
// hide.
func checkKeys(t testing.TB, where, text string) {
	t.Helper()
	sealing := fmt.Sprintf("%x", md5.Sum([]byte(apiSecretText))) // the key of req_info
	for name, secret := range map[string]string{
		"the API key":              apiSecretText,
		"the key of req_info":      sealing,
		"what it was given":        "canary",
		"the API key (dec)":        strings.Trim(fmt.Sprintf("%d", []byte(apiSecretText[:8])), "[]"),
		"the API key (hex)":        fmt.Sprintf("%x", apiSecretText[:8]),
		"the API key (HEX)":        fmt.Sprintf("%X", apiSecretText[:8]),
		"the key of req_info (go)": strings.Trim(fmt.Sprintf("%#v", []byte(sealing[:8])), "[]byte{}"),
	} {
		if strings.Contains(text, secret) {
			t.Errorf("%s holds %s: %s", where, name, text)
		}
	}
}

// The tests find the keys that they look for.
func TestCheckKeysFinds(t *testing.T) {
	for _, text := range []string{
		fmt.Sprintf("%+v", *newAPIKey(t).secret.Reveal()), fmt.Sprintf("%x", apiSecretText), fmt.Sprintf("%X", apiSecretText), fmt.Sprintf("%d", []byte(apiSecretText)),
	} {
		probe := &recorder{TB: t}
		checkKeys(probe, "", text)
		if !probe.failed {
			t.Errorf("not found in %.80s", text)
		}
	}
}
