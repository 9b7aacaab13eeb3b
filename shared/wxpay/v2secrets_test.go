package wxpay

import (
	"bytes"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// checkKeys fails the test if a text holds the key of v2, or
// what they were given to hide.
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

// Everything of v2 that holds a secret, logged and printed in every way.
func TestNothingPrintsAKey(t *testing.T) {
	key := newAPIKey(t)
	for name, v := range map[string]any{
		"APIKey":              key,
		"*APIKey":             &key,
		"APIKey, in a struct": struct{ K APIKey }{key},
		"APIKey, unexported":  struct{ k APIKey }{key},
		"*APIKey, unexported": struct{ k *APIKey }{&key},
		"APIKey, nested":      map[string]any{"a": []any{key, &key}},
	} {
		var out bytes.Buffer
		options := &slog.HandlerOptions{Level: slog.LevelDebug}
		slog.New(slog.NewTextHandler(&out, options)).Debug("text", "v", v)
		slog.New(slog.NewJSONHandler(&out, options)).Debug("json", "v", v)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "% x", "%#x", "%08v", "%o", "%c"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
		checkKeys(t, name, out.String())
	}
}

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
