package wxpay

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// echoing says back what it is sent, as mutate has it.
func echoing(t *testing.T, platform *Platform, mutate func(map[string]string)) *Client {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var in map[string]string
		if err := json.Unmarshal(body, &in); err != nil || len(in) != 1 || r.Method != "POST" || r.RequestURI != echoURI || r.Header.Get(headerSerial) != pubID {
			t.Errorf("request %s %s %s with serial %q", r.Method, r.RequestURI, body, r.Header.Get(headerSerial))
		}
		mutate(in)
		b, _ := json.Marshal(in)
		answer(w, platform, 200, string(b))
	})
	return newClient(s.URL)
}

func TestEchoProvesBothSidesKeys(t *testing.T) {
	if err := echoing(t, newPlatform(), func(map[string]string) {}).Echo(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEchoRefusesAnyOneThingChanged(t *testing.T) {
	for _, c := range []struct {
		name     string
		platform *Platform
		mutate   func(map[string]string)
		want     error
	}{
		{"another message", newPlatform(), func(m map[string]string) { m["echo_message"] = "canary-body" }, ErrFormat},
		{"no message", newPlatform(), func(m map[string]string) { delete(m, "echo_message") }, ErrFormat},
		{"another key under the ID", &Platform{pubID, forgerKey()}, func(map[string]string) {}, ErrSignature},
		{"another key", &Platform{pubID + "1", platformKey()}, func(map[string]string) {}, ErrUnknownKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := echoing(t, c.platform, c.mutate).Echo(t.Context()); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// Both calls say what WeChat Pay said, and quote its words nowhere but in Message.
func TestARefusalSaysWhatItIsAbout(t *testing.T) {
	for _, c := range []struct {
		name, body string
		signed     bool
		want       Refusal
	}{
		{"signature", `{"code":"SIGN_ERROR","message":"canary-body\nwords","detail":{"field":"signature","location":"authorization"}}`, true,
			Refusal{Status: 401, Code: "SIGN_ERROR", Message: "canary-body words", Field: "signature", Verified: true}},
		{"detail in words", `{"code":"SIGN_ERROR","message":"m","detail":"words"}`, false, Refusal{Status: 401, Code: "SIGN_ERROR", Message: "m"}},
		{"a code that is none", `{"code":"two words"}`, false, Refusal{Status: 401}},
		{"no JSON", `<html>canary-body`, false, Refusal{Status: 401}},
		{"endless", `{"code":"` + strings.Repeat("x", 1000) + `","message":"` + strings.Repeat("长", 1000) + `"}`, false, Refusal{Status: 401, Message: strings.Repeat("长", maxWords)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.signed {
					answer(w, newPlatform(), 401, c.body)
					return
				}
				w.WriteHeader(401)
				io.WriteString(w, c.body)
			})
			for call, err := range map[string]error{
				"echo": newClient(s.URL).Echo(t.Context()),
				"certificate list": func() error {
					_, err := newClient(s.URL).Certificates(t.Context(), newAPIv3Key(t))
					return err
				}(),
			} {
				no, ok := errors.AsType[*Refusal](err)
				if !ok {
					t.Fatalf("got %v, want a refusal", err)
				}
				want := c.want
				if want.call = call; call != "echo" {
					want.Verified = false // that call verifies what it takes
				}
				if d := cmp.Diff(want, *no, cmp.AllowUnexported(Refusal{})); d != "" {
					t.Errorf("%s (-want +got):\n%s", call, d)
				}
				checkSecrets(t, "error", err.Error())
			}
		})
	}
}

// FuzzRefusal reads any reply. What is shown of it stays on its line.
func FuzzRefusal(f *testing.F) {
	for _, body := range []string{`{"code":"SIGN_ERROR","message":"错误的签名","detail":{"field":"signature"}}`, `{"detail":1}`, `[]`, "\xff", `{"message":"\u001b[2J\u2028"}`} {
		f.Add(401, []byte(body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		no := newRefusal("echo", Reply{Status: status, Body: body})
		if len([]rune(no.Message)) > maxWords || strings.ContainsFunc(no.Error()+no.Message+no.Field, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("got %q, %q, %q", no.Error(), no.Message, no.Field)
		}
	})
}
