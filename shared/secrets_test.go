package shared_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"wxrefund/shared/channel"
	"wxrefund/shared/cloudbase"
	"wxrefund/shared/config"
	"wxrefund/shared/deliver"
	"wxrefund/shared/host"
	"wxrefund/shared/ledger"
	"wxrefund/shared/sandbox"
	"wxrefund/shared/secret"
	"wxrefund/shared/wxpay"
)

const canary = "canary-secret-0123456789-abcdefg" // 32 bytes, as keys have

// A secretType is a type that holds a secret, with everything that fmt may show of it.
type secretType struct {
	value any
	shown string // in place of it; "": whatever is no secret
}

// secretTypes is every type of ours that holds a secret, with one in it.
func secretTypes(t *testing.T, key *rsa.PrivateKey) map[string]secretType {
	t.Helper()
	v3, err := wxpay.ParseAPIv3Key(canary)
	if err != nil {
		t.Fatal(err)
	}
	v2, err := wxpay.ParseAPIKey(canary)
	if err != nil {
		t.Fatal(err)
	}
	other3, err := wxpay.ParseAPIv3Key("a-new-key-of-32-bytes-0123456789")
	if err != nil {
		t.Fatal(err)
	}
	other2, err := wxpay.ParseAPIKey("a-new-key-of-32-bytes-0123456789")
	if err != nil {
		t.Fatal(err)
	}
	hook, err := deliver.ParseSecret(base64.StdEncoding.EncodeToString([]byte(canary)))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := wxpay.ParsePrivateKey(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	if err != nil {
		t.Fatal(err)
	}
	signer := wxpay.Signer{MchID: "1900000109", SerialNo: "5157", Key: key}
	hidden := secret.Text(canary)
	tc3 := cloudbase.TC3Signer{SecretID: "AKID", SecretKey: hidden}
	lent := cloudbase.Credentials{APIKey: hidden, SecretID: "AKID", SecretKey: hidden, SessionToken: hidden, APIToken: hidden, TriggerAPIToken: hidden, AccessToken: hidden, TCBSessionToken: hidden}
	wecom := &channel.WeCom{CorpID: "ww1", CorpSecret: hidden}
	keys, err := sandbox.GenerateKeys()
	if err != nil {
		t.Fatal(err)
	}
	stores := map[string]*ledger.Store{}
	for name, url := range map[string]string{
		"postgres": "postgres://u:" + canary + "@127.0.0.1:1/db", "mysql": "mysql://u:" + canary + "@127.0.0.1:1/db",
	} {
		if stores[name], err = ledger.Open(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = stores[name].Close() })
	}
	return map[string]secretType{
		"secret.Value":          {hidden, "[hidden]"},
		"deliver.Secret":        {hook, "[hidden]"},
		"wxpay.APIv3Key":        {v3, "[APIv3 key]"},
		"wxpay.APIKey":          {v2, "[API key]"},
		"two APIv3 keys":        {other3.Or(v3), "[APIv3 key]"},
		"two API keys":          {other2.Or(v2), "[API key]"},
		"*wxpay.PrivateKey":     {parsed, "[private key]"},
		"wxpay.Signer":          {signer, "[signer 1900000109 5157]"},
		"*wxpay.Signer":         {&signer, "[signer 1900000109 5157]"},
		"*wxpay.Platform":       {&wxpay.Platform{Serial: "5157", Key: key}, "[platform 5157]"},
		"cloudbase.TC3Signer":   {tc3, "[TC3 key AKID]"},
		"*wxpay.Client":         {&wxpay.Client{Signer: &signer}, ""},
		"host.Identity":         {host.Identity{ServerTokens: []secret.Value[string]{hidden, hidden}}, ""},
		"cloudbase.Credentials": {lent, "credentials (hidden)"},
		"cloudbase API token":   {cloudbase.APICredential{SecretID: "AKID", Token: hidden}, ""},
		"*channel.WeCom":        {wecom, "[WeCom ww1]"},
		"*channel.Global":       {&channel.Global{Key: v2}, ""},
		"*channel.APIv3":        {&channel.APIv3{Client: &wxpay.Client{Signer: &signer}}, ""},
		"*sandbox.Keys":         {keys, "[sandbox keys]"},
		"*sandbox.Config":       {&sandbox.Config{Keys: keys}, ""},
		"*config.System":        {&config.System{Secret: v3, APIKey: v2}, ""},
		"ledger, PostgreSQL":    {stores["postgres"], ""},
		"ledger, MySQL":         {stores["mysql"], ""},
	}
}

// wraps is where a value may be when somebody prints it.
func wraps(v any) map[string]any {
	pointer := reflect.New(reflect.TypeOf(v))
	pointer.Elem().Set(reflect.ValueOf(v))
	return map[string]any{
		"itself":        v,
		"a pointer":     pointer.Interface(),
		"a field":       struct{ V any }{v},
		"a list":        []any{v, &v},
		"a typed list":  reflect.Append(reflect.MakeSlice(reflect.SliceOf(reflect.TypeOf(v)), 0, 1), reflect.ValueOf(v)).Interface(),
		"a map":         map[string]any{"k": v},
		"a reflection":  reflect.ValueOf(v),
		"an error":      fmt.Errorf("cause: %v, %w", v, errors.New("none")),
		"a field of it": &struct{ V any }{struct{ W any }{v}},
	}
}

// formats is every verb with each flag and with all, and with a precision.
func formats() (all []string) {
	for _, flags := range []string{"", "+", "-", "#", " ", "0", "+-# 0"} {
		for _, size := range []string{"", "99.99"} {
			for verb := 'A'; verb <= 'z'; verb++ {
				if verb <= 'Z' || verb >= 'a' {
					all = append(all, "%"+flags+size+string(verb))
				}
			}
		}
	}
	return append(all, "%!", "%é", "%[1]*[1]d", "%")
}

// leaks are the texts in which a secret might show: printed like the value as
// text, as bytes and as the words of an expanded key, and once plainly.
func leaks(format string, key *rsa.PrivateKey) (all []string) {
	start := canary[:8]
	var words []uint32
	for i := 0; i < 8; i += 4 {
		words = append(words, uint32(start[i])<<24|uint32(start[i+1])<<16|uint32(start[i+2])<<8|uint32(start[i+3]),
			uint32(start[i+3])<<24|uint32(start[i+2])<<16|uint32(start[i+1])<<8|uint32(start[i]))
	}
	// D as a number is cut, since a number has no end that one could search for.
	d, word := key.D.String()[:20], key.D.Bits()[:1]
	for _, f := range []string{format, "%v", "%+v", "%#v", "%x", "%d"} {
		if strings.ContainsAny(f, "é*!") || f == "%" || strings.ContainsAny(f, "0123456789.") || strings.HasSuffix(f, "T") || strings.HasSuffix(f, "p") {
			continue // widths and precisions change only how much is shown, and these nothing
		}
		all = append(all, fmt.Sprintf(f, start), d)
		for _, list := range []any{[]byte(start), words[:1], words[1:2], word} {
			if text := strings.Trim(fmt.Sprintf(f, list), "[]{}"); len(text) >= 8 && !strings.Contains(text, "%!") {
				if _, inner, ok := strings.Cut(text, "{"); ok {
					text = inner
				}
				all = append(all, text)
			}
		}
		if n := fmt.Sprintf(f, new(big.Int).Set(key.D)); len(n) > 20 && !strings.Contains(n, "%!") {
			cut := 20
			if strings.HasSuffix(f, "b") {
				cut = 64 // 20 binary digits are found by chance, in an address for one
			}
			all = append(all, n[:min(cut, len(n))])
		}
	}
	all = slices.DeleteFunc(all, func(s string) bool { return len(strings.TrimSpace(s)) < 8 })
	slices.Sort(all)
	return slices.Compact(append(all, "canary"))
}

// D4: no verb of fmt with any flags, and no handler of slog, shows anything of a
// secret, wherever in a value it stands.
func TestD4NoVerbPrintsASecret(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	all := formats()
	searched := map[string][]string{}
	for _, f := range all {
		searched[f] = leaks(f, key)
	}
	for name, s := range secretTypes(t, key) {
		t.Run(name, func(t *testing.T) {
			for where, v := range wraps(s.value) {
				for _, f := range all {
					got := fmt.Sprintf(f, v)
					for _, leak := range searched[f] {
						if strings.Contains(got, leak) {
							t.Fatalf("%s, %s shows %q: %s", where, f, leak, got)
						}
					}
					verb := f[len(f)-1]
					if where == "itself" && s.shown != "" && len(f) < 8 && verb >= 'A' && verb != 'T' && verb != 'p' && verb != 'w' && got != s.shown {
						t.Fatalf("%s shows %q, want %q", f, got, s.shown)
					}
				}
				if e := fmt.Sprint(v) + fmt.Sprintln(v); strings.Contains(e, "canary") {
					t.Errorf("%s, Sprint: %s", where, e)
				}
				var out bytes.Buffer
				for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
					slog.New(h).Info("it", "value", v, "group", slog.GroupValue(slog.Any("v", v)))
				}
				if strings.Contains(out.String(), "canary") || strings.Contains(out.String(), key.D.String()[:20]) {
					t.Errorf("%s, slog: %s", where, out.String())
				}
			}
		})
	}
}

// fmt cannot ask what it comes upon in an unexported field. Keys that are kept for
// long stand that too.
func TestD4NoVerbPrintsAnUnexportedKey(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	v3, _ := wxpay.ParseAPIv3Key(canary)
	v2, _ := wxpay.ParseAPIKey(canary)
	new3, _ := wxpay.ParseAPIv3Key("a-new-key-of-32-bytes-0123456789")
	new2, _ := wxpay.ParseAPIKey("a-new-key-of-32-bytes-0123456789")
	signer := &wxpay.Signer{MchID: "1900000109", SerialNo: "5157", Key: key}
	client := &wxpay.Client{Signer: signer}
	for name, v := range map[string]any{
		"APIv3Key":       struct{ k wxpay.APIv3Key }{v3},
		"*APIv3Key":      struct{ k *wxpay.APIv3Key }{&v3},
		"APIKey":         struct{ k wxpay.APIKey }{v2},
		"*APIKey":        struct{ k *wxpay.APIKey }{&v2},
		"two APIv3 keys": struct{ k wxpay.APIv3Key }{new3.Or(v3)},
		"two API keys":   struct{ k wxpay.APIKey }{new2.Or(v2)},
		"*Signer":        struct{ s *wxpay.Signer }{signer},
		"*Client":        struct{ c *wxpay.Client }{client},
		"all":            &struct{ v []any }{[]any{v3, &v3, v2, &v2, signer, client}},
		"TC3Signer":      struct{ s cloudbase.TC3Signer }{cloudbase.TC3Signer{SecretKey: secret.Text(canary)}},
		"Credentials":    struct{ c *cloudbase.Credentials }{&cloudbase.Credentials{SecretKey: secret.Text(canary)}},
		"WeCom":          struct{ c *channel.WeCom }{&channel.WeCom{CorpSecret: secret.Text(canary)}},
		"a deeper one": &struct {
			v struct{ w *struct{ k wxpay.APIv3Key } }
		}{struct{ w *struct{ k wxpay.APIv3Key } }{&struct{ k wxpay.APIv3Key }{v3}}},
		"a deeper one2": &struct {
			v struct{ w *struct{ k wxpay.APIKey } }
		}{struct{ w *struct{ k wxpay.APIKey } }{&struct{ k wxpay.APIKey }{v2}}},
	} {
		for _, f := range formats() {
			got := fmt.Sprintf(f, v)
			for _, leak := range leaks(f, key) {
				if strings.Contains(got, leak) {
					t.Fatalf("%s: %s shows %q: %s", name, f, leak, got)
				}
			}
		}
	}
}

// The tests above find what they look for.
func TestD4LeaksAreFound(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	type words struct{ enc [2]uint32 }
	for _, v := range []any{
		canary, []byte(canary), struct{ s string }{canary}, &struct{ b []byte }{[]byte(canary)}, map[string]string{"k": canary},
		key.D, *key, words{[2]uint32{uint32('c') | uint32('a')<<8 | uint32('n')<<16 | uint32('a')<<24, 1}},
	} {
		for _, f := range []string{"%v", "%+v", "%#v", "%x", "%d", "%X"} {
			got := fmt.Sprintf(f, v)
			if !slices.ContainsFunc(leaks(f, key), func(leak string) bool { return strings.Contains(got, leak) }) {
				t.Errorf("%s of %T is not found: %.200s", f, v, got)
			}
		}
	}
}
