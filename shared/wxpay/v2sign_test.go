package wxpay

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"wxrefund/shared/secret"
)

const apiSecretText = "canary-v2-API-key-0123456789abcd" // 32 bytes

func newAPIKey(t testing.TB) APIKey { return apiKey(t, apiSecretText) }

func apiKey(t testing.TB, text string) APIKey {
	t.Helper()
	k, err := ParseAPIKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// signed returns a copy of f with its signature.
func signed(t testing.TB, f Fields, st SignType) Fields {
	t.Helper()
	f = maps.Clone(f)
	sign, err := newAPIKey(t).Sign(f, st)
	if err != nil {
		t.Fatal(err)
	}
	f["sign"] = sign
	return f
}

// newAnswer is an answer to a refund, of usual size.
func newAnswer() Fields {
	return Fields{
		"return_code": "SUCCESS", "return_msg": "OK", "appid": "wx2421b1c4370ec43b", "mch_id": "1900000109", "nonce_str": "NfsMFbUFpdbEhPXP",
		"result_code": "SUCCESS", "transaction_id": "1008450740201411110005820873", "out_trade_no": "1415757673", "out_refund_no": "1415701182",
		"refund_id": "2008450740201411110000174436", "refund_channel": "", "refund_fee": "1", "total_fee": "10", "cash_fee": "10", "err_code_des": "退款 & <成功>=",
	}
}

// The example of WeChat Pay's page on signing (wiki/doc/api, 4_3).
func TestSignV2Vector(t *testing.T) {
	k := apiKey(t, "192006250b4c09247ec02edce69f6a2d")
	f := Fields{
		"appid": "wxd930ea5d5a258f4f", "mch_id": "10000100", "device_info": "1000", "body": "test", "nonce_str": "ibuaiVcKdpRxkhJA",
	}
	const message = "appid=wxd930ea5d5a258f4f&body=test&device_info=1000&mch_id=10000100&nonce_str=ibuaiVcKdpRxkhJA&key=192006250b4c09247ec02edce69f6a2d"
	if got := string(k.message(f)); got != message {
		t.Errorf("message %q, want %q", got, message)
	}
	for st, want := range map[SignType]string{
		SignMD5:        "9A0A8659F005D6984697E2CA0A9CF3B7",
		SignHMACSHA256: "6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6",
	} {
		got, err := k.Sign(f, st)
		if err != nil || got != want {
			t.Errorf("%s: got %s, error %v, want %s", st, got, err, want)
		}
		// Neither what is empty nor the signature itself is signed.
		g := maps.Clone(f)
		g["attach"], g["sign"] = "", want
		if again, err := k.Sign(g, st); err != nil || again != want {
			t.Errorf("%s with empty fields: got %s, error %v, want %s", st, again, err, want)
		}
		if err := k.Verify(g, st); err != nil {
			t.Errorf("%s does not verify: %v", st, err)
		}
	}
}

// The names are sorted by their bytes, not as people sort.
func TestSignV2SortsNamesByTheirBytes(t *testing.T) {
	f := Fields{"b": "1", "a": "2", "B": "3", "a_1": "4", "a_10": "5", "a_2": "6", "aa": "7", "_": "8", "a-b": "9", "a.b": "10", "sign": "11", "signs": "12", "empty": ""}
	want := "B=3&_=8&a=2&a-b=9&a.b=10&a_1=4&a_10=5&a_2=6&aa=7&b=1&signs=12&key=" + apiSecretText
	if got := string(newAPIKey(t).message(f)); got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	got, err := newAPIKey(t).Sign(f, SignMD5)
	if want := fmt.Sprintf("%X", md5.Sum([]byte(want))); err != nil || got != want {
		t.Errorf("MD5 %s, error %v, want %s", got, err, want)
	}
	mac := hmac.New(sha256.New, []byte(apiSecretText))
	mac.Write([]byte(want))
	got, err = newAPIKey(t).Sign(f, SignHMACSHA256)
	if want := fmt.Sprintf("%X", mac.Sum(nil)); err != nil || got != want {
		t.Errorf("HMAC %s, error %v, want %s", got, err, want)
	}
}

func TestSignV2Refuses(t *testing.T) {
	k := newAPIKey(t)
	for name, tt := range map[string]struct {
		k  APIKey
		f  Fields
		st SignType
	}{
		"the zero key":         {APIKey{}, newAnswer(), SignMD5},
		"no sign type":         {k, newAnswer(), ""},
		"another sign type":    {k, newAnswer(), "RSA"},
		"one in lower case":    {k, newAnswer(), "md5"},
		"MD5 called HMAC":      {k, Fields{"sign_type": "HMAC-SHA256"}, SignMD5},
		"HMAC called MD5":      {k, Fields{"sign_type": "MD5"}, SignHMACSHA256},
		"an unknown sign_type": {k, Fields{"sign_type": "RSA"}, "RSA"},
		"a name with =":        {k, Fields{"a=1&b": "canary-body"}, SignMD5},
		"an empty name":        {k, Fields{"": "canary-body"}, SignMD5},
		"not UTF-8":            {k, Fields{"a": "canary-body\xff"}, SignMD5},
		"a null":               {k, Fields{"a": "canary-body\x00"}, SignMD5},
		"no character":         {k, Fields{"a": "canary-body\uFFFE"}, SignMD5},
	} {
		got, err := tt.k.Sign(tt.f, tt.st)
		if !errors.Is(err, ErrFormat) || got != "" {
			t.Errorf("%s: signature %q, error %v, want none and %v", name, got, err, ErrFormat)
		}
		checkSecrets(t, name, fmt.Sprint(err))
	}
}

// One valid message, one thing changed.
func TestVerifyV2Refuses(t *testing.T) {
	for _, st := range []SignType{SignMD5, SignHMACSHA256} {
		other := map[SignType]SignType{SignMD5: SignHMACSHA256, SignHMACSHA256: SignMD5}[st]
		valid := newAnswer()
		valid["sign_type"] = string(st)
		valid = signed(t, valid, st)
		unnamed := signed(t, newAnswer(), st)
		set := func(name, value string) func(Fields) Fields {
			return func(f Fields) Fields { f[name] = value; return f }
		}
		for _, tt := range []struct {
			name   string
			mutate func(Fields) Fields
			ok     bool
		}{
			{"nothing changed", func(f Fields) Fields { return f }, true},
			{"without sign_type", func(Fields) Fields { return maps.Clone(unnamed) }, true},
			{"sign_type empty", func(Fields) Fields { f := maps.Clone(unnamed); f["sign_type"] = ""; return f }, true},
			{"an empty field more", set("attach", ""), true},
			{"an empty field less", func(f Fields) Fields { delete(f, "refund_channel"); return f }, true},
			{"a new field, signed", func(f Fields) Fields { f["new_field"] = "1"; return signed(t, f, st) }, true},
			{"a new field, not signed", set("new_field", "1"), false},
			{"an empty field filled", set("refund_channel", "ORIGINAL"), false},
			{"another amount", set("refund_fee", "2"), false},
			{"a field emptied", set("refund_fee", ""), false},
			{"a field missing", func(f Fields) Fields { delete(f, "refund_fee"); return f }, false},
			{"a field renamed", func(f Fields) Fields { f["Refund_fee"] = f["refund_fee"]; delete(f, "refund_fee"); return f }, false},
			{"two values swapped", func(f Fields) Fields { f["refund_fee"], f["total_fee"] = f["total_fee"], f["refund_fee"]; return f }, false},
			{"signature missing", func(f Fields) Fields { delete(f, "sign"); return f }, false},
			{"signature empty", set("sign", ""), false},
			{"signature in lower case", func(f Fields) Fields { f["sign"] = strings.ToLower(f["sign"]); return f }, false},
			{"signature of another message", func(f Fields) Fields { f["sign"] = unnamed["sign"]; return f }, false},
			{"signed in the other way", func(Fields) Fields { return signed(t, newAnswer(), other) }, false},
			{"signed in the other way, and says so", func(Fields) Fields { return signed(t, signedAs(other), other) }, false},
			{"signed in the other way, and denies it", func(Fields) Fields {
				f := signed(t, newAnswer(), other)
				f["sign_type"] = string(st)
				return f
			}, false},
			{"names the other way", func(f Fields) Fields { f["sign_type"] = string(other); return f }, false},
			{"signed in this way, and denies it", func(Fields) Fields {
				f := signedAs(other)
				f["sign"], _ = newAPIKey(t).sign(f, st)
				return f
			}, false},
			{"names an unknown way", set("sign_type", "RSA"), false},
			{"signed with another key", func(f Fields) Fields {
				k, _ := ParseAPIKey(strings.Repeat("k", 32))
				f["sign"], _ = k.Sign(f, st)
				return f
			}, false},
			{"signed without a key", func(f Fields) Fields {
				m := string((APIKey{secret: secret.Hide(&apiSecret{})}).message(f))
				if f["sign"] = fmt.Sprintf("%X", md5.Sum([]byte(m))); st == SignHMACSHA256 {
					f["sign"] = fmt.Sprintf("%X", sha256.Sum256([]byte(m)))
				}
				return f
			}, false},
			{"only a signature", func(f Fields) Fields { return Fields{"sign": f["sign"]} }, false},
			{"nil", func(Fields) Fields { return nil }, false},
		} {
			t.Run(string(st)+" "+tt.name, func(t *testing.T) {
				err := newAPIKey(t).Verify(tt.mutate(maps.Clone(valid)), st)
				if request := newAPIKey(t).VerifyRequest(tt.mutate(maps.Clone(valid)), st); (request == nil) != (err == nil) {
					t.Errorf("as a request: error %v, as an answer: %v", request, err)
				}
				if tt.ok && err != nil || !tt.ok && !errors.Is(err, ErrSignature) {
					t.Errorf("error %v, want it to verify: %t", err, tt.ok)
				}
				checkSecrets(t, "error", fmt.Sprint(err))
			})
		}
		// Whom no way, or no key, is configured for.
		for _, st := range []SignType{"", "RSA", "md5"} {
			if err := newAPIKey(t).Verify(unnamed, st); !errors.Is(err, ErrSignature) {
				t.Errorf("sign type %q: error %v, want %v", st, err, ErrSignature)
			}
		}
		if err := (APIKey{}).Verify(valid, st); !errors.Is(err, ErrSignature) {
			t.Errorf("the zero key: error %v, want %v", err, ErrSignature)
		}
	}
}

func signedAs(st SignType) Fields {
	f := newAnswer()
	f["sign_type"] = string(st)
	return f
}

// Two messages with one signature: neither verifies if the other could have been
// meant, so that of what verifies there is one reading.
func TestVerifyV2IsUnambiguous(t *testing.T) {
	k := newAPIKey(t)
	for name, tt := range map[string]struct{ meant, forged Fields }{
		"two fields merged":    {Fields{"a": "1", "b": "2"}, Fields{"a": "1&b=2"}},
		"three fields merged":  {Fields{"a": "1", "b": "2", "c": "3"}, Fields{"a": "1&b=2&c=3"}},
		"the border moved":     {Fields{"a": "1", "c": "3"}, Fields{"a": "1&c=3"}},
		"by the name":          {Fields{"a": "1", "b": "2"}, Fields{"a=1&b": "2"}},
		"into a name's number": {Fields{"a": "1", "a_0": "2"}, Fields{"a": "1&a_0=2"}},
		// The example that makes the rule for answers: the count of an order's refunds is hidden.
		"a count hidden": {
			Fields{"sub_mch_id": "1900000109", "total_refund_count": "12", "refund_count": "10", "transaction_id": "42"},
			Fields{"sub_mch_id": "1900000109&total_refund_count=12", "refund_count": "10", "transaction_id": "42"},
		},
		"an amount hidden": {Fields{"out_refund_no": "1", "refund_fee": "2"}, Fields{"out_refund_no": "1&refund_fee=2"}},
	} {
		sign, err := k.Sign(tt.meant, SignMD5)
		if err != nil {
			t.Fatal(err)
		}
		for f, want := range map[*Fields]error{&tt.meant: nil, &tt.forged: ErrSignature} {
			if got := string(k.message(*f)); got != string(k.message(tt.meant)) {
				t.Fatalf("%s: the messages differ: %q", name, got)
			}
			(*f)["sign"] = sign
			if err := k.Verify(*f, SignMD5); !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("%s: %v: error %v, want %v", name, *f, err, want)
			}
			// WeChat Pay, which signs what it has received again, takes both.
			if err := k.VerifyRequest(*f, SignMD5); err != nil {
				t.Errorf("%s: %v as a request: %v", name, *f, err)
			}
		}
	}
	// These look so, and are not: what is behind the & sorts before, or is no name.
	for _, value := range []string{"a&b", "x&a=1", "a&=1", "a& z=1", "a&&", "&", "a=b", "?x=1&m=2", "&中=1"} {
		f := signed(t, Fields{"n": value, "o": "1"}, SignMD5)
		if err := k.Verify(f, SignMD5); err != nil {
			t.Errorf("value %q: %v", value, err)
		}
	}
}

// What people write may look like a field: a request with it verifies, an answer
// with it does not, since in an answer nobody has written anything.
func TestVerifyV2Request(t *testing.T) {
	k := newAPIKey(t)
	for desc, answers := range map[string]bool{
		"x&z=1": false, "x&total_fee=1": false, "a&refund_fee=1&sign=2": false, "a&b=1": true, "A & B = C": true, "&&==": true,
	} {
		for _, st := range []SignType{SignMD5, SignHMACSHA256} {
			f := signed(t, Fields{"refund_desc": desc, "refund_fee": "60", "total_fee": "100"}, st)
			if err := k.VerifyRequest(f, st); err != nil {
				t.Errorf("%s %q: a request: %v", st, desc, err)
			}
			if err := k.Verify(f, st); (err == nil) != answers {
				t.Errorf("%s %q: an answer: error %v, want it to verify: %t", st, desc, err, answers)
			}
			for _, name := range []string{"refund_desc", "refund_fee", "sign"} {
				g := maps.Clone(f)
				g[name] += "1"
				if err := k.VerifyRequest(g, st); !errors.Is(err, ErrSignature) {
					t.Errorf("%s %q: another %s: error %v, want %v", st, desc, name, err, ErrSignature)
				}
			}
		}
	}
}

// Over all short messages that can be signed to the same text, at most one verifies.
func TestVerifyV2HasOneReading(t *testing.T) {
	k := newAPIKey(t)
	readings := map[string]int{}
	values := []string{"", "1", "1&b=2", "1&c=2", "1&a=2", "1&b=2&c=3", "1&c=2&b=3", "&b=", "1&b="}
	for _, a := range values {
		for _, b := range values {
			for _, c := range values {
				f := Fields{"a": a, "b": b, "c": c}
				text := string(k.message(f))
				f["sign"], _ = k.Sign(f, SignMD5)
				if k.Verify(f, SignMD5) == nil {
					readings[text]++
				}
			}
		}
	}
	for text, n := range readings {
		if n > 1 {
			t.Errorf("%q is read in %d ways", text, n)
		}
	}
	if len(readings) < 20 {
		t.Errorf("%d texts verify at all", len(readings))
	}
}

// Every bit of a message as it is sent, one at a time.
func TestVerifyV2RefusesEveryFlippedBit(t *testing.T) {
	k := newAPIKey(t)
	for _, st := range []SignType{SignMD5, SignHMACSHA256} {
		body := signed(t, signedAs(st), st).XML()
		if f, err := ParseFields(body, "xml"); err != nil || k.Verify(f, st) != nil {
			t.Fatal("the valid one is refused", err)
		}
		unread := 0
		for bit := range len(body) * 8 {
			body[bit/8] ^= 1 << (bit % 8)
			f, err := ParseFields(body, "xml")
			if err != nil {
				unread++
			} else if err := k.Verify(f, st); !errors.Is(err, ErrSignature) {
				t.Errorf("%s: bit %d (%.40q): error %v, want %v", st, bit, body[max(0, bit/8-20):], err, ErrSignature)
			}
			body[bit/8] ^= 1 << (bit % 8)
		}
		t.Logf("%s: %d flips, %d of them not read, none accepted", st, len(body)*8, unread)
	}
}
