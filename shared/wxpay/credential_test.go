package wxpay

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// attributes of a valid header, in the order in which WeChat Pay's SDK writes them.
func newAttributes(t testing.TB) []string {
	t.Helper()
	header, err := newSigner().authorize("POST", "/v3/refund/domestic/refunds", []byte(`{"a":1}`), now().Unix(), nonce)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimPrefix(header, scheme+" "), ",")
}

func verifyCredential(c Credential) error {
	return c.Verify(&merchantKey().PublicKey, "POST", "/v3/refund/domestic/refunds", []byte(`{"a":1}`), now())
}

func TestParseAuthorization(t *testing.T) {
	a := newAttributes(t)
	want, err := ParseAuthorization(scheme + " " + strings.Join(a, ","))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Credential{MchID: mchID, SerialNo: mchSerial, Nonce: nonce, Timestamp: now().Unix(), Signature: want.Signature}, want); diff != "" {
		t.Errorf("credential (-want +got):\n%s", diff)
	}
	if err := verifyCredential(want); err != nil {
		t.Error("it does not verify:", err)
	}
	// Each of the five first and last, and some white space that RFC 9110 allows.
	for i := range a {
		for _, sep := range []string{",", ", ", " ,\t"} {
			header := scheme + " " + strings.Join(slices.Concat(a[i:], a[:i]), sep)
			if got, err := ParseAuthorization(header); err != nil || got != want {
				t.Errorf("header %.200q: credential %v, error %v", header, got, err)
			}
		}
	}
	for _, header := range []string{
		scheme + "   " + strings.Join(a, ","),
		scheme + " " + strings.Join(a, ",") + "  ",
	} {
		if got, err := ParseAuthorization(header); err != nil || got != want {
			t.Errorf("header %.60q…: credential %v, error %v", header, got, err)
		}
	}
}

func TestParseAuthorizationRefuses(t *testing.T) {
	a := newAttributes(t)
	valid := strings.Join(a, ",")
	tests := map[string]string{
		"empty":                      "",
		"the scheme alone":           scheme,
		"the scheme and a space":     scheme + " ",
		"no scheme":                  valid,
		"the scheme in lower case":   strings.ToLower(scheme) + " " + valid,
		"a longer scheme":            scheme + "X " + valid,
		"no space after the scheme":  scheme + valid,
		"a tab after the scheme":     scheme + "\t" + valid,
		"a space before the scheme":  " " + scheme + " " + valid,
		"an unknown attribute":       scheme + " " + valid + `,token="x"`,
		"an attribute in upper case": scheme + " " + strings.Replace(valid, "mchid", "MCHID", 1),
		"a trailing comma":           scheme + " " + valid + ",",
		"two commas":                 scheme + " " + strings.Replace(valid, ",", ",,", 1),
		"no commas":                  scheme + " " + strings.ReplaceAll(valid, ",", " "),
		"no quotes":                  scheme + " " + strings.ReplaceAll(valid, `"`, ""),
		"the last quote missing":     scheme + " " + strings.TrimSuffix(valid, `"`),
		"something behind it":        scheme + " " + valid + " x",
		"an escaped quote":           scheme + " " + strings.Replace(valid, `mchid="`, `mchid="\"`, 1),
		"too long in all":            scheme + " " + strings.Replace(valid, `signature="`, `signature="`+strings.Repeat("A", 4096), 1),
		"too long":                   scheme + " " + strings.Replace(valid, `mchid="`, `mchid="`+strings.Repeat("1", 4096), 1),
	}
	for i, attribute := range a {
		name, value, _ := strings.Cut(attribute, "=")
		rest := append(append([]string{}, a[:i]...), a[i+1:]...)
		tests[name+" missing"] = scheme + " " + strings.Join(rest, ",")
		tests[name+" empty"] = scheme + " " + strings.Join(append(rest, name+`=""`), ",")
		tests[name+" twice, the same"] = scheme + " " + strings.Join(append(a[:len(a):len(a)], attribute), ",")
		tests[name+" twice, another"] = scheme + " " + strings.Join(append(a[:len(a):len(a)], name+`="1"`), ",")
		tests[name+" twice, first empty"] = scheme + " " + strings.Join(append([]string{name + `=""`}, a...), ",")
		tests[name+" spelled wrong"] = scheme + " " + strings.Join(append(rest, "x"+name+"="+value), ",")
		if name != "signature" { // that is looked at when it is verified
			for what, v := range map[string]string{
				"with a line feed": "1\n2", "with a space": "1 2", "not ASCII": "１", "of 129 characters": strings.Repeat("1", 129),
			} {
				tests[name+" "+what] = scheme + " " + strings.Join(append(rest[:len(rest):len(rest)], name+`="`+v+`"`), ",")
			}
		}
	}
	for _, ts := range []string{"soon", "+1554208460", "-1", "01554208460", "1554208460.0", "1e9", "1554208460000", "0x5CA35BCC"} {
		tests["timestamp "+ts] = scheme + " " + strings.Replace(valid, "1554208460", ts, 1)
	}
	for name, header := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := ParseAuthorization(header)
			if !errors.Is(err, ErrHeader) {
				t.Errorf("error %v, want %v", err, ErrHeader)
			}
			if c != (Credential{}) {
				t.Errorf("a credential all the same: %v", c)
			}
			checkSecrets(t, "error", fmt.Sprint(err))
		})
	}
}

// One valid request, one thing changed. Times and signatures are looked at as in notifications.
func TestCredentialVerifyRefuses(t *testing.T) {
	valid, err := ParseAuthorization(scheme + " " + strings.Join(newAttributes(t), ","))
	if err != nil {
		t.Fatal(err)
	}
	type request struct {
		c           Credential
		method, uri string
		body        string
		at          time.Time
	}
	for _, tt := range []struct {
		name   string
		mutate func(*request)
		want   error
	}{
		{"nothing changed", func(*request) {}, nil},
		{"another method", func(r *request) { r.method = "PUT" }, ErrSignature},
		{"method in lower case", func(r *request) { r.method = "post" }, ErrSignature},
		{"another path", func(r *request) { r.uri += "/1" }, ErrSignature},
		{"a query added", func(r *request) { r.uri += "?a=1" }, ErrSignature},
		{"body changed", func(r *request) { r.body = `{"a":2}` }, ErrSignature},
		{"body empty", func(r *request) { r.body = "" }, ErrSignature},
		{"another timestamp", func(r *request) { r.c.Timestamp++ }, ErrSignature},
		{"another nonce", func(r *request) { r.c.Nonce += "0" }, ErrSignature},
		{"end of the URI moved into the timestamp's line", func(r *request) { r.uri += "\n1"; r.c.Timestamp = 554208460; r.at = time.Unix(554208460, 0) }, ErrSignature},
		{"signature spelled otherwise", func(r *request) { r.c.Signature = respell(r.c.Signature) }, ErrSignature},
		{"299 s late", func(r *request) { r.at = r.at.Add(299 * time.Second) }, nil},
		{"300 s late", func(r *request) { r.at = r.at.Add(300 * time.Second) }, ErrStale},
		{"300 s early", func(r *request) { r.at = r.at.Add(-300 * time.Second) }, ErrStale},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := request{valid, "POST", "/v3/refund/domestic/refunds", `{"a":1}`, now()}
			tt.mutate(&r)
			err := r.c.Verify(&merchantKey().PublicKey, r.method, r.uri, []byte(r.body), r.at)
			if !errors.Is(err, tt.want) || (err != nil) != (tt.want != nil) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
	if err := valid.Verify(&forgerKey().PublicKey, "POST", "/v3/refund/domestic/refunds", []byte(`{"a":1}`), now()); !errors.Is(err, ErrSignature) {
		t.Errorf("another merchant's key: error %v, want %v", err, ErrSignature)
	}
	if err := valid.Verify(nil, "POST", "/v3/refund/domestic/refunds", []byte(`{"a":1}`), now()); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("no key: error %v, want %v", err, ErrUnknownKey)
	}
}
