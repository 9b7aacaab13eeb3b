package cloudbase

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/secret"
	"wxrefund/shared/wxpay"
)

// An apiCall was signed by the npm package @cloudbase/signature-nodejs 2.2.0 with
// isCloudApi and the secret key SECRETEXAMPLE; the time and the token stand behind as
// @cloudbase/node-sdk 3.18.3 writes them.
type apiCall struct {
	Name, Method, URL, Body, Token, Authorization string
	Timestamp                                     int64
	Headers                                       map[string]string
}

func (c apiCall) address(t testing.TB) *url.URL {
	t.Helper()
	u, err := url.Parse(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (c apiCall) header() http.Header {
	h := http.Header{}
	for name, value := range c.Headers {
		h.Set(name, value)
	}
	return h
}

func (c apiCall) at() time.Time { return time.Unix(c.Timestamp, 0) }

func apiCalls(t testing.TB) []apiCall {
	t.Helper()
	b, err := os.ReadFile("testdata/api_tc3.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []apiCall
	if err := json.Unmarshal(b, &all); err != nil || len(all) < 13 {
		t.Fatalf("%d calls, error %v", len(all), err)
	}
	return all
}

// What the library signs we sign alike, and what it signed verifies.
func TestAPITC3SignsAsCloudBasesLibraryDoes(t *testing.T) {
	for _, c := range apiCalls(t) {
		t.Run(c.Name, func(t *testing.T) {
			got := TC3Signer{"AKIDEXAMPLE", secret.Text("SECRETEXAMPLE")}.APIAuthorization(c.Method, c.address(t), c.header(), []byte(c.Body), secret.Text(c.Token), c.at())
			if diff := cmp.Diff(c.Authorization, got); diff != "" {
				t.Errorf("Authorization (-want +got):\n%s", diff)
			}
			credential, err := ParseAPITC3(c.Authorization)
			if err != nil {
				t.Fatal(err)
			}
			if credential.Token.Reveal() != c.Token || credential.At.Unix() != c.Timestamp {
				t.Errorf("token %s, time %v", credential.Token.Reveal(), credential.At)
			}
			h := c.header()
			h.Del("Host") // as a server gets it
			if err := credential.Verify("SECRETEXAMPLE", c.Method, c.address(t), h, []byte(c.Body), c.at()); err != nil {
				t.Error(err)
			}
		})
	}
}

// One valid call, one thing changed.
func TestVerifyAPITC3Refuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		mutate func(c *apiCall, credential *APICredential, h http.Header)
		want   error
	}{
		{"nothing changed", func(*apiCall, *APICredential, http.Header) {}, nil},
		{"a byte of the body", func(c *apiCall, _ *APICredential, _ http.Header) { c.Body += " " }, wxpay.ErrSignature},
		{"no body", func(c *apiCall, _ *APICredential, _ http.Header) { c.Body = "" }, wxpay.ErrSignature},
		{"another method", func(c *apiCall, _ *APICredential, _ http.Header) { c.Method = "PUT" }, wxpay.ErrSignature},
		{"another path", func(c *apiCall, _ *APICredential, _ http.Header) { c.URL += "x" }, wxpay.ErrSignature},
		{"a query", func(c *apiCall, _ *APICredential, _ http.Header) { c.URL += "?a=b" }, wxpay.ErrSignature},
		{"another scheme", func(c *apiCall, _ *APICredential, _ http.Header) { c.URL = strings.Replace(c.URL, "https", "http", 1) }, nil},
		{"another host", func(c *apiCall, _ *APICredential, _ http.Header) {
			c.URL = strings.Replace(c.URL, "env-test", "env-live", 1)
		}, wxpay.ErrSignature},
		{"another source", func(_ *apiCall, _ *APICredential, h http.Header) { h.Set("X-Tcb-Source", "scf") }, wxpay.ErrSignature},
		{"a signed header missing", func(_ *apiCall, _ *APICredential, h http.Header) { h.Del("User-Agent") }, wxpay.ErrSignature},
		{"a signed header twice", func(_ *apiCall, _ *APICredential, h http.Header) { h.Add("X-Tcb-Source", "wx_client,scf") }, wxpay.ErrSignature},
		{"a header more", func(_ *apiCall, _ *APICredential, h http.Header) { h.Set("Accept", "*/*") }, nil},
		{"content type not signed", func(_ *apiCall, credential *APICredential, _ http.Header) {
			credential.SignedHeaders = credential.SignedHeaders[1:]
		}, wxpay.ErrSignature},
		{"host not signed", func(_ *apiCall, credential *APICredential, _ http.Header) {
			credential.SignedHeaders = slices.DeleteFunc(slices.Clone(credential.SignedHeaders), func(s string) bool { return s == "host" })
		}, wxpay.ErrSignature},
		{"a line feed in a header", func(_ *apiCall, _ *APICredential, h http.Header) { h.Set("X-Tcb-Source", "a\nb:c") }, wxpay.ErrSignature},
		{"a second later", func(_ *apiCall, credential *APICredential, _ http.Header) {
			credential.At = credential.At.Add(time.Second)
		}, wxpay.ErrSignature},
		{"five minutes old", func(c *apiCall, _ *APICredential, _ http.Header) { c.Timestamp += 300 }, wxpay.ErrStale},
		{"of the future", func(c *apiCall, _ *APICredential, _ http.Header) { c.Timestamp -= 300 }, wxpay.ErrStale},
		{"of another day", func(_ *apiCall, credential *APICredential, _ http.Header) { credential.Date = "2023-11-15" }, wxpay.ErrSignature},
		{"signed by another key", func(_ *apiCall, credential *APICredential, _ http.Header) {
			credential.Signature = strings.Repeat("0", 64)
		}, wxpay.ErrSignature},
		{"an unknown id", func(c *apiCall, _ *APICredential, _ http.Header) { c.Name = "" }, wxpay.ErrUnknownKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := apiCalls(t)[0]
			credential, err := ParseAPITC3(c.Authorization)
			if err != nil {
				t.Fatal(err)
			}
			h := c.header()
			h.Del("Host")
			tt.mutate(&c, &credential, h)
			key := "SECRETEXAMPLE"
			if c.Name == "" {
				key = ""
			}
			err = credential.Verify(key, c.Method, c.address(t), h, []byte(c.Body), c.at())
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

// Neither dialect's header passes for the other's, and nothing else passes at all.
func TestParseAPITC3Refuses(t *testing.T) {
	valid := apiCalls(t)[0].Authorization
	change := func(old, new string) string {
		if !strings.Contains(valid, old) {
			t.Fatalf("%s is not in it", old)
		}
		return strings.Replace(valid, old, new, 1)
	}
	for name, header := range map[string]string{
		"empty":                       "",
		"a Bearer":                    "Bearer " + apiCanary,
		"another scheme":              change("TC3-HMAC-SHA256", "TC3-HMAC-SHA512"),
		"the gateway's dialect":       change("tc3_request,", "tc3_request, SignedParams=a,"),
		"without a time":              change(", Timestamp=1700000000", ""),
		"a time with a sign":          change("=1700000000", "=+1700000000"),
		"a time with a nought before": change("=1700000000", "=01700000000"),
		"a time that is none":         change("=1700000000", "=now"),
		"an empty token":              change("Token=lent-token_0123/+==", "Token="),
		"a token with a space":        change("lent-token", "lent token"),
		"something behind":            valid + ", X=1",
		"another order":               change("Timestamp=1700000000, Token=lent-token_0123/+==", "Token=lent-token_0123/+==, Timestamp=1700000000"),
		"an odd id":                   change("AKIDEXAMPLE", "AKID EXAMPLE"),
		"another service":             change("/tcb/", "/cam/"),
		"a header twice":              change("content-type;", "content-type;content-type;"),
		"a signature in capitals":     change("Signature=0693f2e4", "Signature=0693F2E4"),
		"too long":                    valid + strings.Repeat("x", 9000),
	} {
		c, err := ParseAPITC3(header)
		if !errors.Is(err, wxpay.ErrHeader) || !cmp.Equal(c, APICredential{}, cmp.AllowUnexported(secret.Value[string]{})) {
			t.Errorf("%s: %v, error %v", name, c, err)
		}
		if text := fmt.Sprint(err); strings.Contains(text, "EXAMPLE") || strings.Contains(text, "token_") || strings.Contains(text, "canary") {
			t.Errorf("%s: %s", name, text)
		}
	}
	if _, err := ParseTC3(valid); !errors.Is(err, wxpay.ErrHeader) {
		t.Errorf("the gateway's reader: error %v, want %v", err, wxpay.ErrHeader)
	}
	// As long as the token of lent keys may be.
	if _, err := ParseAPITC3(change("lent-token_0123/+==", strings.Repeat("t", maxToken))); err != nil {
		t.Errorf("a long token: %v", err)
	}
}

// FuzzParseAPITC3: each credential has one spelling, and nothing verifies without the key.
func FuzzParseAPITC3(f *testing.F) {
	calls := apiCalls(f)
	for _, c := range calls {
		f.Add(c.Authorization)
	}
	valid := calls[0]
	f.Fuzz(func(t *testing.T, header string) {
		c, err := ParseAPITC3(header)
		if err != nil {
			if !errors.Is(err, wxpay.ErrHeader) {
				t.Fatalf("error %v", err)
			}
			return
		}
		again := tc3Scheme + " Credential=" + c.SecretID + "/" + c.Date + "/tcb/tc3_request, SignedHeaders=" + strings.Join(c.SignedHeaders, ";") +
			", Signature=" + c.Signature + ", Timestamp=" + fmt.Sprint(c.At.Unix())
		if token := c.Token.Reveal(); token != "" {
			again += ", Token=" + token
		}
		if again != header {
			t.Fatalf("%q was read as %q", header, again)
		}
		if err := c.Verify("nobody's", valid.Method, valid.address(t), valid.header(), []byte(valid.Body), c.At); !errors.Is(err, wxpay.ErrSignature) {
			t.Fatalf("verifies with nobody's key: %v", err)
		}
	})
}
