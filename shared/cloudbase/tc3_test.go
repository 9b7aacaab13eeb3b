package cloudbase

import (
	"bytes"
	"encoding/base64"
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

const tc3Secret = "canary-tc3-secret-key-0123456789"

// checkHidden fails the test if a text holds the secret key or what it was to hide.
func checkHidden(t testing.TB, where, text string) {
	t.Helper()
	for _, secret := range []string{"canary", fmt.Sprintf("%x", tc3Secret[:8]), strings.Trim(fmt.Sprint([]byte(tc3Secret[:8])), "[]")} {
		if strings.Contains(text, secret) {
			t.Errorf("%s holds the secret key: %s", where, text)
		}
	}
}

// A call of CloudBase, as a signer or a verifier gets to see it.
type call struct {
	key    string
	method string
	u      *url.URL
	h      http.Header // all signed
	params []Param
	at     time.Time
}

func (c call) sign() string {
	return TC3Signer{"AKIDEXAMPLE", secret.Text(c.key)}.Authorization(c.method, c.u, c.h, c.params, c.at)
}

// signAs returns the credential with the signature of what it says itself, whether
// the protocol would have it so or not.
func (c call) signAs(credential TC3Credential) TC3Credential {
	values, _, _ := payload(c.params)
	request := canonicalRequest(c.method, c.u, credential.SignedHeaders, lowerHeader(c.h), payloadHash(credential.SignedParams, values))
	credential.Signature = signTC3(c.key, credential.Date, stringToSign(c.at, credential.Date, request))
	return credential
}

func (c call) verify(credential TC3Credential) error {
	return credential.Verify(c.key, c.method, c.u, c.h, c.params, c.at, c.at)
}

// clone lets one thing be changed without the others.
func (c call) clone() call {
	u := *c.u
	c.u, c.h, c.params = &u, c.h.Clone(), slices.Clone(c.params)
	for i := range c.params {
		c.params[i].Value = bytes.Clone(c.params[i].Value)
	}
	return c
}

// A recorded call was signed by the npm package @cloudbase/signature-nodejs 2.2.0
// with the secret key SECRETEXAMPLE.
type recorded struct {
	Name, URL     string
	Timestamp     int64
	Headers       map[string]string
	Authorization string
	Before22      string `json:"before_2_2"` // by 1.0.0-beta.0, if that is another one
	Params        []struct {
		Name, Value, Base64 string
		Binary              bool
	}
}

func (r recorded) call(t testing.TB) call {
	t.Helper()
	u, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := call{key: "SECRETEXAMPLE", method: "post", u: u, h: http.Header{}, at: time.Unix(r.Timestamp, 0)}
	for name, value := range r.Headers {
		c.h.Set(name, value)
	}
	for _, p := range r.Params {
		value := []byte(p.Value)
		if p.Binary {
			if value, err = base64.StdEncoding.DecodeString(p.Base64); err != nil {
				t.Fatal(err)
			}
		}
		c.params = append(c.params, Param{p.Name, value, p.Binary})
	}
	return c
}

func recordedCalls(t testing.TB) []recorded {
	t.Helper()
	b, err := os.ReadFile("testdata/tc3.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []recorded
	if err := json.Unmarshal(b, &all); err != nil || len(all) < 13 {
		t.Fatalf("%d calls, error %v", len(all), err)
	}
	return all
}

// newCall is a refund by CloudPay: a form, with everything that a call can have.
func newCall(t testing.TB) call {
	t.Helper()
	c := recordedCalls(t)[1].call(t)
	c.key = tc3Secret
	return c
}

// What the library signs we sign alike, and what it signed verifies.
func TestTC3SignsAsCloudBasesLibraryDoes(t *testing.T) {
	for _, r := range recordedCalls(t) {
		t.Run(r.Name, func(t *testing.T) {
			c := r.call(t)
			if r.Name != "names that are escaped" { // those we sort otherwise: see below
				if diff := cmp.Diff(r.Authorization, c.sign()); diff != "" {
					t.Errorf("Authorization (-want +got):\n%s", diff)
				}
			}
			headers := map[string]string{"recorded": r.Authorization, "ours": c.sign()}
			if r.Before22 != "" {
				headers["recorded, before 2.2"] = r.Before22
			}
			for how, header := range headers {
				got, err := ParseTC3(header)
				if err != nil {
					t.Fatalf("%s: %v", how, err)
				}
				if err := c.verify(got); err != nil {
					t.Errorf("%s: %v", how, err)
				}
				// As a server gets it: the host is not among the headers, the method in
				// capitals, the parameters in another order.
				s := c.clone()
				s.h.Del("Host")
				s.method = "POST"
				slices.Reverse(s.params)
				if err := s.verify(got); err != nil {
					t.Errorf("%s, at a server: %v", how, err)
				}
			}
		})
	}
}

// What the signer does on its own account.
func TestTC3Authorization(t *testing.T) {
	c := newCall(t)
	want := c.sign()
	for name, mutate := range map[string]func(*call){
		"Host left out":               func(c *call) { c.h.Del("Host") },
		"Host wrong":                  func(c *call) { c.h.Set("Host", "elsewhere") },
		"method in capitals":          func(c *call) { c.method = "POST" },
		"names spelled as they like":  func(c *call) { c.h["X-SDK-Version"] = c.h["X-Sdk-Version"]; delete(c.h, "X-Sdk-Version") },
		"content type with boundary":  func(c *call) { c.h.Set("Content-Type", "multipart/form-data; boundary=x") },
		"https":                       func(c *call) { c.u.Scheme = "https" },
		"parameters in another order": func(c *call) { slices.Reverse(c.params) },
		"strings with space around":   func(c *call) { c.params[0].Value = []byte(" \twx.wxPayApi\r\n\ufeff") },
		"an empty string more":        func(c *call) { c.params = append(c.params, Param{Name: "x", Value: []byte(" ")}) },
		"nanoseconds":                 func(c *call) { c.at = c.at.Add(999 * time.Millisecond) },
		"another time zone":           func(c *call) { c.at = c.at.In(time.FixedZone("CST", 8*3600)) },
	} {
		d := c.clone()
		mutate(&d)
		if diff := cmp.Diff(want, d.sign()); diff != "" {
			t.Errorf("%s: Authorization (-want +got):\n%s", name, diff)
		}
	}
	// The day is that of UTC: in Shanghai it is the next one by then.
	c.at = time.Date(2023, 11, 14, 23, 59, 59, 0, time.UTC).In(time.FixedZone("CST", 8*3600))
	if got := c.sign(); !strings.Contains(got, "/2023-11-14/") {
		t.Errorf("signed at %v: %s", c.at, got)
	}
}

// One valid header, one thing changed.
func TestParseTC3Refuses(t *testing.T) {
	valid := newCall(t).sign()
	swap := func(old, new string) string {
		if !strings.Contains(valid, old) {
			t.Fatalf("%q is not in %s", old, valid)
		}
		return strings.Replace(valid, old, new, 1)
	}
	signature := valid[len(valid)-64:]
	tests := map[string]string{
		"empty":                        "",
		"the scheme alone":             "TC3-HMAC-SHA256",
		"the scheme and a space":       "TC3-HMAC-SHA256 ",
		"the scheme in lower case":     swap("TC3-HMAC-SHA256", "tc3-hmac-sha256"),
		"no scheme":                    swap("TC3-HMAC-SHA256 ", ""),
		"two spaces":                   swap("TC3-HMAC-SHA256 ", "TC3-HMAC-SHA256  "),
		"a space before":               " " + valid,
		"a space behind":               valid + " ",
		"a line feed behind":           valid + "\n",
		"a part more":                  valid + ", X=1",
		"a part twice":                 valid + ", Signature=" + signature,
		"no space after a comma":       swap(", SignedHeaders", ",SignedHeaders"),
		"Signature missing":            swap(", Signature="+signature, ""),
		"Signature first":              swap("Credential=", "Signature="+signature+", Credential="),
		"Credential missing":           swap("Credential=AKIDEXAMPLE/2023-11-14/tcb/tc3_request, ", ""),
		"Credential in lower case":     swap("Credential", "credential"),
		"SignedParams missing":         "TC3-HMAC-SHA256 Credential=AKIDEXAMPLE/2023-11-14/tcb/tc3_request, SignedHeaders=content-type;host, Signature=" + signature,
		"SignedHeaders missing":        "TC3-HMAC-SHA256 Credential=AKIDEXAMPLE/2023-11-14/tcb/tc3_request, SignedParams=a, Signature=" + signature,
		"no secret ID":                 swap("AKIDEXAMPLE", ""),
		"a space in the secret ID":     swap("AKIDEXAMPLE", "AKID EXAMPLE"),
		"a comma in the secret ID":     swap("AKIDEXAMPLE", "AKID,EXAMPLE"),
		"a slash in the secret ID":     swap("AKIDEXAMPLE", "AKID/EXAMPLE"),
		"not ASCII in the secret ID":   swap("AKIDEXAMPLE", "AKID\u00c9"),
		"a long secret ID":             swap("AKIDEXAMPLE", strings.Repeat("A", 129)),
		"no date":                      swap("2023-11-14", ""),
		"a date that is none":          swap("2023-11-14", "2023-02-29"),
		"another service":              swap("/tcb/", "/scf/"),
		"no service":                   swap("/tcb/", "/"),
		"another request":              swap("tc3_request", "tc4_request"),
		"something behind the scope":   swap("tc3_request", "tc3_request/x"),
		"a parameter twice":            swap("SignedParams=action;", "SignedParams=action;action;"),
		"a parameter with no name":     swap("SignedParams=action;", "SignedParams=action;;"),
		"a parameter in capitals":      swap("SignedParams=action", "SignedParams=Action"),
		"a parameter, not escaped":     swap("SignedParams=action", "SignedParams=act ion"),
		"a parameter with a plus":      swap("SignedParams=action", "SignedParams=act+ion"),
		"a parameter, badly escaped":   swap("SignedParams=action", "SignedParams=act%2"),
		"a parameter, escaped in vain": swap("SignedParams=action", "SignedParams=%61ction"),
		"a parameter, escaped in low":  swap("SignedParams=action", "SignedParams=%e4%b8%ad"),
		"a parameter, capital escaped": swap("SignedParams=action", "SignedParams=%C3%89"),
		"a header twice":               swap(";host;", ";host;host;"),
		"a signature in capitals":      swap(signature, strings.ToUpper(signature)),
		"a signature in base64":        swap(signature, base64.StdEncoding.EncodeToString(make([]byte, 32))),
		"a signature too short":        swap(signature, signature[2:]),
		"a signature empty":            swap(signature, ""),
		"too long":                     swap("SignedParams=action", "SignedParams=action;"+strings.Repeat("a", 4096)),
	}
	for name, header := range tests {
		c, err := ParseTC3(header)
		if !errors.Is(err, wxpay.ErrHeader) || !cmp.Equal(c, TC3Credential{}) {
			t.Errorf("%s: credential %v, error %v, want none and %v", name, c, err, wxpay.ErrHeader)
		}
		if s := fmt.Sprint(err); strings.Contains(s, "AKID") || strings.Contains(s, signature[:8]) {
			t.Errorf("%s: the error quotes the header: %s", name, s)
		}
		checkHidden(t, name, fmt.Sprint(err))
	}
	for i := range valid {
		if _, err := ParseTC3(valid[:i]); !errors.Is(err, wxpay.ErrHeader) {
			t.Errorf("cut after %d bytes: error %v, want %v", i, err, wxpay.ErrHeader)
		}
	}
}
