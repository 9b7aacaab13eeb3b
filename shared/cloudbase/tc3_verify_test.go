package cloudbase

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/wxpay"
)

func parseTC3(t testing.TB, header string) TC3Credential {
	t.Helper()
	c, err := ParseTC3(header)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// One valid call, one thing changed that is more than a bit.
func TestVerifyTC3Refuses(t *testing.T) {
	valid := newCall(t)
	credential := parseTC3(t, valid.sign())
	set := func(i int, value string) func(*call, *TC3Credential) {
		return func(c *call, _ *TC3Credential) { c.params[i].Value = []byte(value) }
	}
	header := func(name string, values ...string) func(*call, *TC3Credential) {
		return func(c *call, _ *TC3Credential) { c.h[name] = values }
	}
	// resign signs what it finds, without some of the headers or parameters.
	resign := func(c *call, credential *TC3Credential, without ...string) {
		d := c.clone()
		for _, name := range without {
			d.h.Del(name)
		}
		*credential = parseTC3(t, d.sign())
	}
	for _, tt := range []struct {
		name   string
		mutate func(*call, *TC3Credential)
		want   error
	}{
		{"nothing changed", func(*call, *TC3Credential) {}, nil},
		{"method in capitals", func(c *call, _ *TC3Credential) { c.method = "POST" }, nil},
		{"another method", func(c *call, _ *TC3Credential) { c.method = "PUT" }, wxpay.ErrSignature},
		{"another scheme", func(c *call, _ *TC3Credential) { c.u.Scheme = "https" }, nil},
		{"another host", func(c *call, _ *TC3Credential) { c.u.Host = "elsewhere"; c.h.Set("Host", "elsewhere") }, wxpay.ErrSignature},
		{"another host in the address", func(c *call, _ *TC3Credential) { c.u.Host = "elsewhere" }, wxpay.ErrSignature},
		{"another host in the header", header("Host", "elsewhere"), wxpay.ErrSignature},
		{"another host in the header, signed so", func(c *call, credential *TC3Credential) {
			c.h.Set("Host", "elsewhere")
			*credential = c.signAs(*credential)
		}, wxpay.ErrSignature},
		{"no host in the header", func(c *call, _ *TC3Credential) { c.h.Del("Host") }, nil},
		{"another path", func(c *call, _ *TC3Credential) { c.u.Path = "/admin/" }, wxpay.ErrSignature},
		{"the path escaped in vain", func(c *call, _ *TC3Credential) { c.u.RawPath = "/%61dmin" }, wxpay.ErrSignature},
		{"the query in the path", func(c *call, _ *TC3Credential) { c.u.Path += "?" + c.u.RawQuery; c.u.RawQuery = "" }, wxpay.ErrSignature},

		{"a header's value in capitals", header("X-Tcb-Source", "WX_CLIENT,SCF"), nil}, // by the protocol
		{"a header's value with space around", header("X-Tcb-Source", " wx_client,scf\t"), nil},
		{"a signed header missing", func(c *call, _ *TC3Credential) { c.h.Del("X-Tcb-Source") }, wxpay.ErrSignature},
		{"a signed header twice", header("X-Tcb-Source", "wx_client,scf", "wx_client,scf"), wxpay.ErrSignature},
		{"a signed header in halves", header("X-Tcb-Source", "wx_client", "scf"), wxpay.ErrSignature},
		{"a signed header under two spellings", header("X-TCB-Source", "wx_client,scf"), wxpay.ErrSignature},
		{"a header more", header("X-Timestamp", "1"), nil},
		{"content type with a boundary", header("Content-Type", "multipart/form-data; boundary=x"), nil},
		{"another content type", header("Content-Type", "application/json"), wxpay.ErrSignature},
		{"content type in capitals", header("Content-Type", "Multipart/Form-Data"), wxpay.ErrSignature},
		{"content type missing", func(c *call, _ *TC3Credential) { c.h.Del("Content-Type") }, wxpay.ErrSignature},
		{"a line feed in a header", func(c *call, credential *TC3Credential) {
			c.h.Set("X-Tcb-Region", "ap-shanghai\nx-tcb-source:wx_client,scf")
			c.h.Del("X-Tcb-Source")
			credential.SignedHeaders = slices.DeleteFunc(credential.SignedHeaders, func(s string) bool { return s == "x-tcb-source" })
		}, wxpay.ErrSignature},
		{"a line feed in a header, signed", func(c *call, credential *TC3Credential) { c.h.Set("X-Tcb-Region", "a\nb"); resign(c, credential) }, wxpay.ErrSignature},
		{"a line feed in the query, signed", func(c *call, credential *TC3Credential) { c.u.RawQuery += "\nx"; resign(c, credential) }, wxpay.ErrSignature},
		{"content type not signed", func(c *call, credential *TC3Credential) { resign(c, credential, "Content-Type") }, wxpay.ErrSignature},
		{"host struck out", func(_ *call, credential *TC3Credential) {
			credential.SignedHeaders = slices.DeleteFunc(credential.SignedHeaders, func(s string) bool { return s == "host" })
		}, wxpay.ErrSignature},
		{"a header struck out", func(_ *call, credential *TC3Credential) { credential.SignedHeaders = credential.SignedHeaders[:6] }, wxpay.ErrSignature},
		{"a header more signed", func(_ *call, credential *TC3Credential) {
			credential.SignedHeaders = append(credential.SignedHeaders, "x-new")
		}, wxpay.ErrSignature},
		{"headers in another order", func(_ *call, credential *TC3Credential) {
			slices.Reverse(credential.SignedHeaders)
		}, wxpay.ErrSignature},
		{"only the two headers signed", func(c *call, credential *TC3Credential) {
			resign(c, credential, "User-Agent", "X-Client-Timestamp", "X-Sdk-Version", "X-Tcb-Region", "X-Tcb-Source")
		}, nil},

		{"bytes with a space behind", func(c *call, _ *TC3Credential) { c.params[3].Value = append(c.params[3].Value, ' ') }, wxpay.ErrSignature},
		{"text with a space behind", set(0, "wx.wxPayApi "), nil},
		{"text as bytes, with a space behind", func(c *call, _ *TC3Credential) { c.params[0] = Param{"action", []byte("wx.wxPayApi "), true} }, wxpay.ErrSignature},
		{"no bytes called no text", func(c *call, _ *TC3Credential) { c.params[2].Binary = false }, wxpay.ErrSignature},
		{"no bytes left out", func(c *call, _ *TC3Credential) { c.params = slices.Delete(c.params, 2, 3) }, wxpay.ErrSignature},
		{"an empty text filled", set(6, "x"), wxpay.ErrSignature}, // it was not signed
		{"an empty text called bytes", func(c *call, _ *TC3Credential) { c.params[6].Binary = true }, wxpay.ErrSignature},
		{"an empty text left out", func(c *call, _ *TC3Credential) { c.params = slices.Delete(c.params, 6, 7) }, nil},
		{"an empty text more", func(c *call, _ *TC3Credential) { c.params = append(c.params, Param{Name: "x", Value: []byte(" ")}) }, nil},
		{"a parameter emptied", set(0, ""), wxpay.ErrSignature},
		{"a parameter missing", func(c *call, _ *TC3Credential) { c.params = c.params[1:] }, wxpay.ErrSignature},
		{"a parameter missing, and not signed", func(c *call, credential *TC3Credential) {
			c.params, credential.SignedParams = c.params[1:], credential.SignedParams[1:]
		}, wxpay.ErrSignature},
		{"a parameter more", func(c *call, _ *TC3Credential) { c.params = append(c.params, Param{Name: "x", Value: []byte("1")}) }, wxpay.ErrSignature},
		{"a parameter twice", func(c *call, _ *TC3Credential) { c.params = append(c.params, c.params[0]) }, wxpay.ErrSignature},
		{"a parameter twice, by another name", func(c *call, _ *TC3Credential) {
			c.params = append(c.params, Param{Name: "ACTION", Value: []byte("wx.openApi")})
		}, wxpay.ErrSignature},
		{"a parameter's name in capitals", func(c *call, _ *TC3Credential) { c.params[0].Name = "ACTION" }, nil}, // by the protocol
		{"values swapped", func(c *call, _ *TC3Credential) {
			c.params[0].Value, c.params[1].Value = c.params[1].Value, c.params[0].Value
		}, wxpay.ErrSignature},
		{"two parameters merged", func(c *call, credential *TC3Credential) {
			c.params[0].Value = []byte("wx.wxPayApi\r\n&apiname=refund")
			c.params = slices.Delete(c.params, 1, 2)
			credential.SignedParams = slices.Delete(credential.SignedParams, 1, 2)
		}, wxpay.ErrSignature},
		{"what may be two parameters, signed", func(c *call, credential *TC3Credential) {
			c.params[0].Value = []byte("1\r\n&b=2")
			resign(c, credential)
		}, wxpay.ErrSignature},
		{"parameters signed in another order", func(_ *call, credential *TC3Credential) {
			slices.Reverse(credential.SignedParams)
		}, wxpay.ErrSignature},
		{"a signed name twice", func(_ *call, credential *TC3Credential) {
			credential.SignedParams[1] = "action"
		}, wxpay.ErrSignature},
		{"all that is empty listed, as before 2.2", func(_ *call, credential *TC3Credential) {
			credential.SignedParams = append(credential.SignedParams, "crossauthorizationtoken", "tcb_sessiontoken")
		}, nil},
		{"one of two that are empty listed", func(_ *call, credential *TC3Credential) {
			credential.SignedParams = append(credential.SignedParams, "tcb_sessiontoken")
		}, nil},
		{"what is empty listed amid the others", func(_ *call, credential *TC3Credential) {
			credential.SignedParams = slices.Insert(credential.SignedParams, 1, "crossauthorizationtoken")
		}, nil},
		{"what is listed as empty filled", func(c *call, credential *TC3Credential) {
			credential.SignedParams = append(credential.SignedParams, "tcb_sessiontoken")
			c.params[slices.IndexFunc(c.params, func(p Param) bool { return strings.EqualFold(p.Name, "tcb_sessionToken") })].Value = []byte("x")
		}, wxpay.ErrSignature},
		{"what is not there listed as empty", func(_ *call, credential *TC3Credential) {
			credential.SignedParams = append(credential.SignedParams, "crossauthorizationtoken", "x")
		}, wxpay.ErrSignature},
		{"all that is empty listed, and a parameter not", func(_ *call, credential *TC3Credential) {
			credential.SignedParams = append(credential.SignedParams[1:], "crossauthorizationtoken", "tcb_sessiontoken")
		}, wxpay.ErrSignature},
		{"no parameters, none signed", func(c *call, credential *TC3Credential) { c.params, credential.SignedParams = nil, nil }, wxpay.ErrSignature},

		{"a second later", func(c *call, _ *TC3Credential) { c.at = c.at.Add(time.Second) }, wxpay.ErrSignature},
		{"another day in the scope", func(_ *call, credential *TC3Credential) { credential.Date = "2023-11-15" }, wxpay.ErrSignature},
		{"another day in the scope, signed so", func(c *call, credential *TC3Credential) {
			credential.Date = "2023-11-15"
			*credential = c.signAs(*credential)
		}, wxpay.ErrSignature},
		{"another secret ID", func(_ *call, credential *TC3Credential) { credential.SecretID = "AKIDOTHER" }, nil}, // which decides about the key
		{"another key", func(c *call, _ *TC3Credential) { c.key = "k" + c.key[1:] }, wxpay.ErrSignature},
		{"no key", func(c *call, _ *TC3Credential) { c.key = "" }, wxpay.ErrUnknownKey},
		{"no key, signed so", func(c *call, credential *TC3Credential) { c.key = ""; resign(c, credential) }, wxpay.ErrUnknownKey},
		{"signature empty", func(_ *call, credential *TC3Credential) { credential.Signature = "" }, wxpay.ErrSignature},
		{"signature in capitals", func(_ *call, credential *TC3Credential) {
			credential.Signature = strings.ToUpper(credential.Signature)
		}, wxpay.ErrSignature},
		{"the zero credential", func(_ *call, credential *TC3Credential) { *credential = TC3Credential{} }, wxpay.ErrSignature},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, got := valid.clone(), credential
			got.SignedParams, got.SignedHeaders = slices.Clone(got.SignedParams), slices.Clone(got.SignedHeaders)
			tt.mutate(&c, &got)
			err := c.verify(got)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			checkHidden(t, "error", fmt.Sprint(err))
		})
	}
}

func TestVerifyTC3Window(t *testing.T) {
	c := newCall(t)
	credential := parseTC3(t, c.sign())
	for seconds, want := range map[int]error{-301: wxpay.ErrStale, -300: wxpay.ErrStale, -299: nil, -1: nil, 0: nil, 1: nil, 299: nil, 300: wxpay.ErrStale, 301: wxpay.ErrStale, 86400: wxpay.ErrStale, -86400: wxpay.ErrStale} {
		now := c.at.Add(time.Duration(seconds) * time.Second)
		if err := credential.Verify(c.key, c.method, c.u, c.h, c.params, c.at, now); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%d s later: error %v, want %v", seconds, err, want)
		}
	}
	// The time is told before anything else, so that a clock that is wrong shows.
	if err := (TC3Credential{}).Verify("", "", c.u, nil, nil, c.at, c.at.Add(time.Hour)); !errors.Is(err, wxpay.ErrStale) {
		t.Errorf("everything wrong: error %v, want %v", err, wxpay.ErrStale)
	}
}

// The days on either side of midnight have different keys, within one window.
func TestVerifyTC3AroundMidnight(t *testing.T) {
	c := newCall(t)
	midnight := time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)
	for s := -310; s <= 310; s += 10 {
		c.at = midnight.Add(time.Duration(s) * time.Second)
		credential := parseTC3(t, c.sign())
		want := "2024-02-29"
		if s < 0 {
			want = "2024-02-28"
		}
		if credential.Date != want {
			t.Errorf("%d s: signed for %s, want %s", s, credential.Date, want)
		}
		// Both sides of midnight verify it, as long as it is fresh.
		if err := credential.Verify(c.key, c.method, c.u, c.h, c.params, c.at, c.at.Add(250*time.Second)); err != nil {
			t.Errorf("%d s: %v", s, err)
		}
	}
}

// Every bit of everything that is sent, one at a time. The signature does not tell
// the case of headers' values and parameters' names, nor by whose key it was made;
// of all else no flip is accepted.
func TestVerifyTC3RefusesEveryFlippedBit(t *testing.T) {
	keys := map[string]string{"AKIDEXAMPLE": tc3Secret, "AKIDOTHER": "other"} // by secret ID, as a server has them
	flips, unread, folded := 0, 0, 0
	for _, r := range recordedCalls(t) {
		c := r.call(t)
		c.key = tc3Secret
		authorization := c.sign()
		// try puts c, one bit of which is flipped, before a server.
		try := func(what string, folds bool, c call, authorization string) {
			t.Helper()
			flips++
			credential, err := ParseTC3(authorization)
			if err != nil {
				unread++
				return
			}
			c.key = keys[credential.SecretID]
			switch err := c.verify(credential); {
			case err == nil && folds:
				folded++
			case err == nil:
				t.Errorf("%s: %s: accepted", r.Name, what)
			case !errors.Is(err, wxpay.ErrSignature) && !errors.Is(err, wxpay.ErrUnknownKey) && !errors.Is(err, wxpay.ErrStale):
				t.Errorf("%s: %s: error %v", r.Name, what, err)
			}
		}
		flip := func(what string, s string, do func(flipped string, onlyCase bool)) {
			for bit := range len(s) * 8 {
				b := []byte(s)
				b[bit/8] ^= 1 << (bit % 8)
				do(string(b), strings.EqualFold(s, string(b)))
			}
		}
		flip("Authorization", authorization, func(s string, _ bool) { try("Authorization", false, c, s) })
		flip("query", c.u.RawQuery, func(s string, _ bool) { d := c.clone(); d.u.RawQuery = s; try("query", false, d, authorization) })
		flip("path", c.u.Path, func(s string, _ bool) {
			d := c.clone()
			d.u.Path, d.u.RawPath = s, ""
			try("path", false, d, authorization)
		})
		flip("host", c.u.Host, func(s string, _ bool) {
			d := c.clone()
			d.u.Host = s
			d.h.Del("Host")
			try("host", false, d, authorization)
		})
		for name := range c.h {
			value := c.h.Get(name)
			// Blanks at the ends go: a flip between two of them changes nothing.
			inner := strings.TrimSpace(value)
			flip(name, inner, func(s string, onlyCase bool) {
				d := c.clone()
				if d.h.Set(name, strings.Replace(value, inner, s, 1)); name == "Content-Type" {
					// Behind multipart/form-data is the boundary, which is not signed.
					try(name, strings.HasPrefix(s, mediaForm) && strings.HasPrefix(value, mediaForm), d, authorization)
				} else {
					try(name, onlyCase, d, authorization)
				}
			})
		}
		for i, p := range c.params {
			flip(p.Name, strings.TrimSpace(p.Name), func(s string, onlyCase bool) {
				d := c.clone()
				d.params[i].Name = s
				// What is empty is not signed, and neither is its name.
				try("name "+p.Name, onlyCase || !p.Binary && len(strings.TrimFunc(string(p.Value), isSpace)) == 0, d, authorization)
			})
			value := string(p.Value)
			if !p.Binary {
				value = strings.TrimFunc(value, isSpace)
			}
			flip(p.Name, value, func(s string, _ bool) {
				d := c.clone()
				d.params[i].Value = []byte(s)
				try("value of "+p.Name, false, d, authorization)
			})
		}
	}
	t.Logf("%d flips, %d of them not read, %d of nothing that is signed, none else accepted", flips, unread, folded)
}

// Whoever verifies goes by the order in which names are listed: CloudBase's library
// sorts as people do, and so otherwise than we where digits meet an underscore.
func TestVerifyTC3GoesByTheListedOrder(t *testing.T) {
	c := newCall(t)
	c.params = []Param{{Name: "a_1", Value: []byte("1")}, {Name: "a1", Value: []byte("2")}}
	credential := parseTC3(t, c.sign())
	if err := c.verify(credential); err != nil {
		t.Error("ours:", err)
	}
	for range 2 {
		slices.Reverse(credential.SignedParams)
		if err := c.verify(c.signAs(credential)); err != nil {
			t.Errorf("%v: %v", credential.SignedParams, err)
		}
	}
}

// A server hands over the headers as it has them, and they stay as they are.
func TestVerifyTC3LeavesHeadersAlone(t *testing.T) {
	c := newCall(t)
	credential := parseTC3(t, c.sign())
	c.h = http.Header{"Content-Type": c.h["Content-Type"], "Host": {strings.ToUpper(c.u.Host)}}
	short := call{c.key, c.method, c.u, c.h, c.params, c.at}
	if err := short.verify(credential); !errors.Is(err, wxpay.ErrSignature) {
		t.Errorf("error %v, want %v", err, wxpay.ErrSignature)
	}
	if err := short.verify(parseTC3(t, short.sign())); err != nil {
		t.Error(err)
	}
	if len(c.h) != 2 || len(c.h["Host"]) != 1 {
		t.Errorf("headers are now %v", c.h)
	}
}

// FuzzParseTC3: each credential has one spelling, and nothing verifies without the key.
func FuzzParseTC3(f *testing.F) {
	for _, r := range recordedCalls(f) {
		f.Add(r.Authorization)
	}
	valid := newCall(f)
	f.Add(valid.sign())
	f.Add("TC3-HMAC-SHA256 Credential=a/2024-02-29/tcb/tc3_request, SignedParams=, SignedHeaders=, Signature=" + strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, header string) {
		c, err := ParseTC3(header)
		if err != nil {
			if !errors.Is(err, wxpay.ErrHeader) || !cmp.Equal(c, TC3Credential{}) {
				t.Fatalf("credential %v, error %v", c, err)
			}
			return
		}
		// There is one way to write it down.
		again := tc3Scheme + " Credential=" + c.SecretID + "/" + c.Date + "/tcb/tc3_request, SignedParams=" + strings.Join(c.SignedParams, ";") +
			", SignedHeaders=" + strings.Join(c.SignedHeaders, ";") + ", Signature=" + c.Signature
		if again != header {
			t.Fatalf("%q was read as %q", header, again)
		}
		for _, names := range [][]string{c.SignedParams, c.SignedHeaders} {
			names = slices.Sorted(slices.Values(names))
			if len(slices.Compact(slices.Clone(names))) != len(names) || slices.Contains(names, "") || strings.ContainsAny(strings.Join(names, ""), "\r\n:=& ") {
				t.Fatalf("names %q were let through", names)
			}
		}
		// Nobody knows the key, so nothing verifies, and nothing panics.
		if err := c.Verify("nobody's", "POST", valid.u, valid.h, valid.params, valid.at, valid.at); !errors.Is(err, wxpay.ErrSignature) {
			t.Fatal("it verifies, or not:", err)
		}
		if day, err := time.Parse(time.DateOnly, c.Date); err != nil || tc3Date(day) != c.Date {
			t.Fatalf("date %s", c.Date)
		}
	})
}
