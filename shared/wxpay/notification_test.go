package wxpay

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A notification to a service provider, and what may be absent.
func TestParseRefundNotificationForms(t *testing.T) {
	for name, tt := range map[string]struct {
		plain string
		want  RefundNotification
	}{
		"service provider": {
			`{"sp_mchid":"1900000100","sub_mchid":"1900000109","out_trade_no":"1","transaction_id":"2","out_refund_no":"3","refund_id":"4","refund_status":"ABNORMAL","user_received_account":"","amount":{"total":2,"refund":1,"payer_total":2,"payer_refund":1}}`,
			RefundNotification{SpMchID: "1900000100", SubMchID: "1900000109", OutTradeNo: "1", TransactionID: "2", OutRefundNo: "3", RefundID: "4", RefundStatus: "ABNORMAL", Amount: NotificationAmount{2, 1, new(int64(2)), new(int64(1))}},
		},
		"order by one number, new members, white space, nulls": {
			"\n{\t\"mchid\" : \"1\" , \"out_trade_no\":\"1\",\"success_time\":null,\"new\":[{\"a\":\"}\\\"]\"},[],1.5e3,true],\"out_refund_no\":\"3\",\"refund_id\":\"4\"," +
				"\"refund_status\":\"CLOSED\",\"amount\":{\"from\":[],\"total\":2 , \"refund\" :1}\r\n}\n",
			RefundNotification{MchID: "1", OutTradeNo: "1", OutRefundNo: "3", RefundID: "4", RefundStatus: "CLOSED", Amount: NotificationAmount{Total: 2, Refund: 1}},
		},
		"escapes": {
			`{"mchid":"1","transaction_id":"\u0032","out_refund_no":"a\/b\\","\u0072efund_id":"4\"","refund_status":"SUCCESS","user_received_account":"\u652f\u4ed8\ud83d\ude00","amount":{"total":2,"refund":1}}`,
			RefundNotification{MchID: "1", TransactionID: "2", OutRefundNo: `a/b\`, RefundID: `4"`, RefundStatus: "SUCCESS", UserReceivedAccount: "支付😀", Amount: NotificationAmount{Total: 2, Refund: 1}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseRefundNotification([]byte(tt.plain))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("notification (-want +got):\n%s", diff)
			}
		})
	}
}

// Nothing that is encoded may be forgotten when decoding.
func TestDecodedFieldsAreThoseEncoded(t *testing.T) {
	n := Notification{Resource: Resource{}}
	fillStrings(reflect.ValueOf(&n).Elem(), "x")
	n.LeftOut = "" // which is not encoded
	body, _ := json.Marshal(n)
	if got, err := ParseNotification(body); err != nil || got != n {
		t.Errorf("notification: error %v, diff (-want +got):\n%s", err, cmp.Diff(n, got))
	}
	var l RefundNotification
	fillStrings(reflect.ValueOf(&l).Elem(), "x")
	l.LeftOut, l.SuccessTime = "", "2026-12-15T09:46:01+08:00"
	plain, _ := json.Marshal(l)
	if got, err := ParseRefundNotification(plain); err != nil || !cmp.Equal(got, l) {
		t.Errorf("notification: error %v, diff (-want +got):\n%s", err, cmp.Diff(l, got))
	}
}

// fillStrings gives every field of a struct a value of its own.
func fillStrings(v reflect.Value, prefix string) {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString(fmt.Sprint(prefix, i))
		case reflect.Int64:
			f.SetInt(int64(i) + 7)
		case reflect.Pointer:
			f.Set(reflect.ValueOf(new(int64(i) + 7)))
		default:
			fillStrings(f, prefix+fmt.Sprint(i))
		}
	}
}

// edit decodes JSON into a map, changes it and encodes it again.
func edit(t testing.TB, data []byte, f func(map[string]any)) []byte {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	f(m)
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// malformed are documents that no parser may take, made from one that it takes.
func malformed(valid string) map[string]string {
	return map[string]string{
		"empty":                   "",
		"null":                    "null",
		"an array":                "[]",
		"an empty object":         "{}",
		"cut short":               valid[:len(valid)-1],
		"followed by a second":    valid + valid,
		"after a byte order mark": "\ufeff" + valid,
		"not UTF-8":               strings.TrimSuffix(valid, "}") + ",\"x\":\"\xff\"}",
		"nested too deep":         strings.TrimSuffix(valid, "}") + `,"x":` + strings.Repeat("[", 10001) + strings.Repeat("]", 10001) + "}",
		"XML":                     "<xml><return_code>SUCCESS</return_code></xml>",
	}
}

func TestParseNotificationRefuses(t *testing.T) {
	valid := newNotification(t, newRefundNotification())
	tests := malformed(string(valid))
	change := func(name string, f func(map[string]any)) { tests[name] = string(edit(t, valid, f)) }
	resource := func(m map[string]any) map[string]any { return m["resource"].(map[string]any) }

	for name, max := range map[string]int{"id": 128, "event_type": 64} {
		change(name+" a number", func(m map[string]any) { m[name] = 1 })
		change(name+" an object", func(m map[string]any) { m[name] = map[string]any{} })
		change(name+" too long", func(m map[string]any) { m[name] = strings.Repeat("x", max+1) })
		tests[name+" twice"] = strings.TrimSuffix(string(valid), "}") + `,"` + name + `":"x"}`
	}
	for name, max := range map[string]int{"algorithm": 64, "nonce": 64, "associated_data": 64, "ciphertext": 1 << 20} {
		change("resource."+name+" a number", func(m map[string]any) { resource(m)[name] = 1 })
		change("resource."+name+" too long", func(m map[string]any) { resource(m)[name] = strings.Repeat("x", max+1) })
	}
	for _, name := range []string{"id", "event_type", "resource"} {
		change(name+" missing", func(m map[string]any) { delete(m, name) })
		change(name+" null", func(m map[string]any) { m[name] = nil })
		change(name+" empty", func(m map[string]any) { m[name] = "" })
		change(name+" in capitals", func(m map[string]any) { m[strings.ToUpper(name)] = m[name]; delete(m, name) })
	}
	for _, name := range []string{"algorithm", "ciphertext", "nonce"} {
		change("resource."+name+" missing", func(m map[string]any) { delete(resource(m), name) })
		change("resource."+name+" null", func(m map[string]any) { resource(m)[name] = nil })
		change("resource."+name+" empty", func(m map[string]any) { resource(m)[name] = "" })
	}
	change("resource an array", func(m map[string]any) { m["resource"] = []any{m["resource"]} })
	change("resource a string", func(m map[string]any) { m["resource"] = "x" })
	change("resource empty", func(m map[string]any) { m["resource"] = map[string]any{} })
	change("id with a space", func(m map[string]any) { m["id"] = "a b" })
	change("id with a line feed", func(m map[string]any) { m["id"] = "a\nb" })
	change("id not ASCII", func(m map[string]any) { m["id"] = "通知" })
	tests["resource twice"] = strings.TrimSuffix(string(valid), "}") + `,"resource":{}}`

	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			n, err := ParseNotification([]byte(body))
			if !errors.Is(err, ErrFormat) || n != (Notification{}) {
				t.Errorf("notification %+v, error %v; want none and %v", n, err, ErrFormat)
			}
		})
	}
}

// What may be absent, and new members, which WeChat Pay adds at any time.
func TestParseNotificationTolerates(t *testing.T) {
	valid := newNotification(t, newRefundNotification())
	for name, f := range map[string]func(map[string]any){
		"a new member":               func(m map[string]any) { m["new"] = map[string]any{"id": 1, "resource": []any{nil}} },
		"a new member of resource":   func(m map[string]any) { m["resource"].(map[string]any)["id"] = 1 },
		"no summary":                 func(m map[string]any) { delete(m, "summary") },
		"no associated data":         func(m map[string]any) { delete(m["resource"].(map[string]any), "associated_data") },
		"associated data null":       func(m map[string]any) { m["resource"].(map[string]any)["associated_data"] = nil },
		"no original type":           func(m map[string]any) { delete(m["resource"].(map[string]any), "original_type") },
		"an event of another kind":   func(m map[string]any) { m["event_type"] = "TRANSACTION.SUCCESS" },
		"a name in another case":     func(m map[string]any) { m["ID"] = "another" },
		"an ID of 36 characters":     func(m map[string]any) { m["id"] = strings.Repeat("x", 36) },
		"a summary of 64 in 192":     func(m map[string]any) { m["summary"] = strings.Repeat("退", 64) },
		"a time in another spelling": func(m map[string]any) { m["create_time"] = "20210317161802" },
	} {
		t.Run(name, func(t *testing.T) {
			n, err := ParseNotification(edit(t, valid, f))
			if err != nil || n.ID == "another" {
				t.Errorf("notification %+v, error %v", n, err)
			}
		})
	}
}

func TestParseRefundNotificationRefuses(t *testing.T) {
	valid, err := json.Marshal(newRefundNotification())
	if err != nil {
		t.Fatal(err)
	}
	tests := malformed(string(valid))
	change := func(name string, f func(map[string]any)) { tests[name] = string(edit(t, valid, f)) }
	amount := func(m map[string]any) map[string]any { return m["amount"].(map[string]any) }

	for _, name := range []string{"mchid", "refund_id", "out_refund_no", "refund_status", "amount"} {
		change(name+" missing", func(m map[string]any) { delete(m, name) })
		change(name+" null", func(m map[string]any) { m[name] = nil })
		change(name+" in capitals", func(m map[string]any) { m[strings.ToUpper(name)] = m[name]; delete(m, name) })
	}
	for _, name := range []string{"mchid", "sp_mchid", "sub_mchid", "transaction_id", "out_trade_no", "refund_id", "out_refund_no", "refund_status"} {
		change(name+" a number", func(m map[string]any) { m[name] = 6222020200112233 })
		change(name+" an array", func(m map[string]any) { m[name] = []string{"x"} })
		change(name+" too long", func(m map[string]any) { m[name] = strings.Repeat("x", 257) })
	}
	change("no order", func(m map[string]any) { delete(m, "transaction_id"); delete(m, "out_trade_no") })
	change("status under the name of a reply's", func(m map[string]any) { m["status"] = m["refund_status"]; delete(m, "refund_status") })
	for _, name := range []string{"total", "refund"} {
		change("amount."+name+" missing", func(m map[string]any) { delete(amount(m), name) })
		change("amount."+name+" null", func(m map[string]any) { amount(m)[name] = nil })
		change("amount."+name+" zero", func(m map[string]any) { amount(m)[name] = 0 })
	}
	for _, name := range []string{"total", "refund"} {
		for what, value := range map[string]string{
			"negative": "-1", "a fraction": "9.99", "a whole fraction": "9.0", "an exponent": "1e2", "a string": `"999"`,
			"too large": "9223372036854775808", "a boolean": "true", "an object": "{}", "an array": "[999]",
		} {
			change("amount."+name+" "+what, func(m map[string]any) { amount(m)[name] = json.RawMessage(value) })
		}
	}
	change("amount an array", func(m map[string]any) { m["amount"] = []any{m["amount"]} })
	change("amount a number", func(m map[string]any) { m["amount"] = 999 })
	for _, again := range []string{`"amount":{"total":1,"refund":1}`, `"refund_status":"CLOSED"`, `"out_refund_no":"R2"`} {
		tests["twice "+again] = strings.TrimSuffix(string(valid), "}") + "," + again + "}"
	}
	tests["an amount twice"] = strings.Replace(string(valid), `"refund":999`, `"refund":999,"refund":1`, 1)
	tests["an amount twice, escaped"] = strings.Replace(string(valid), `"refund":999`, `"refund":999,"\u0072efund":1`, 1)

	for name, plain := range tests {
		t.Run(name, func(t *testing.T) {
			l, err := ParseRefundNotification([]byte(plain))
			if !errors.Is(err, ErrFormat) || !cmp.Equal(l, RefundNotification{}) {
				t.Errorf("notification %+v, error %v; want none and %v", l, err, ErrFormat)
			}
			if text := fmt.Sprint(err); strings.Contains(text, "6222") {
				t.Error("the error quotes a value:", text)
			}
			checkSecrets(t, "error", fmt.Sprint(err))
		})
	}
}

// Only merchant, number, order, status and amount decide whether a notification can be
// read: of anything else, what is odd is left out, and its name told.
func TestParseRefundNotificationLeavesOut(t *testing.T) {
	valid, err := json.Marshal(newRefundNotification())
	if err != nil {
		t.Fatal(err)
	}
	absent := map[string]func(*RefundNotification){
		"success_time":          func(l *RefundNotification) { l.SuccessTime = "" },
		"user_received_account": func(l *RefundNotification) { l.UserReceivedAccount = "" },
		"amount.payer_total":    func(l *RefundNotification) { l.Amount.PayerTotal = nil },
		"amount.payer_refund":   func(l *RefundNotification) { l.Amount.PayerRefund = nil },
	}
	check := func(name, field string, plain []byte) {
		t.Helper()
		want := newRefundNotification()
		absent[field](&want)
		want.LeftOut = field
		got, err := ParseRefundNotification(plain)
		if err != nil || !cmp.Equal(want, got) {
			t.Errorf("%s: error %v (-want +got):\n%s", name, err, cmp.Diff(want, got))
		}
	}
	for field := range absent {
		values := []string{`{}`, `[1]`, `true`, `-1`, `0.5`, `1e2`, `"` + strings.Repeat("x", 257) + `"`}
		if strings.Contains(field, ".") {
			values = append(values, `"950"`, `9223372036854775808`, `"abc"`)
		} else {
			values = append(values, `0`, `20261215094601`)
		}
		for _, value := range values {
			check(field+" "+value, field, edit(t, valid, func(m map[string]any) {
				name := field
				if amount, ok := strings.CutPrefix(field, "amount."); ok {
					m, name = m["amount"].(map[string]any), amount
				}
				m[name] = json.RawMessage(value)
			}))
		}
	}
	check("a time that is none", "success_time", edit(t, valid, func(m map[string]any) { m["success_time"] = "soon" }))
	check("a time twice", "success_time", []byte(strings.TrimSuffix(string(valid), "}")+`,"success_time":"2026-12-15T09:46:01+08:00"}`))
	check("an amount twice", "amount.payer_total", []byte(strings.Replace(string(valid), `"payer_total":950`, `"payer_total":950,"payer_total":1`, 1)))

	want := newRefundNotification()
	want.SuccessTime, want.UserReceivedAccount, want.Amount.PayerTotal, want.LeftOut = "", "", nil, "success_time, amount.payer_total, user_received_account"
	got, err := ParseRefundNotification(edit(t, valid, func(m map[string]any) {
		m["success_time"], m["user_received_account"] = "soon", 6222
		m["amount"].(map[string]any)["payer_total"] = "950"
	}))
	if err != nil || !cmp.Equal(want, got) {
		t.Errorf("several: error %v (-want +got):\n%s", err, cmp.Diff(want, got))
	}
}

// What a notification does not tell of the payer's money is not nothing.
func TestParseRefundNotificationTellsNothingFromUntold(t *testing.T) {
	valid, err := json.Marshal(newRefundNotification())
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[any]*int64{"untold": nil, nil: nil, 0: new(int64(0)), 7: new(int64(7))} {
		l, err := ParseRefundNotification(edit(t, valid, func(m map[string]any) {
			amount := m["amount"].(map[string]any)
			amount["payer_total"], amount["payer_refund"] = value, value
			if value == "untold" {
				delete(amount, "payer_total")
				delete(amount, "payer_refund")
			}
		}))
		if err != nil || l.LeftOut != "" || !cmp.Equal(want, l.Amount.PayerTotal) || !cmp.Equal(want, l.Amount.PayerRefund) {
			t.Errorf("%v: %+v, error %v", value, l.Amount, err)
		}
	}
}

// A time may come in v2's form, with signs or without.
func TestRFC3339(t *testing.T) {
	for text, want := range map[string]string{
		"2026-12-15T09:46:01+08:00": "2026-12-15T09:46:01+08:00",
		"2026-12-15T01:46:01Z":      "2026-12-15T01:46:01Z",
		"2026-12-15 09:46:01":       "2026-12-15T09:46:01+08:00",
		"20261215094601":            "2026-12-15T09:46:01+08:00",
		"":                          "", "0": "", "soon": "", "2026-12-15": "", "20261315094601": "", "2026121509460": "", "202612150946011": "", "1797000361": "",
		"2026-12-15T09:46:01": "", "2026-02-30 09:46:01": "",
	} {
		if got, ok := RFC3339(text); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v, want %q", text, got, ok, want)
		}
	}
}

// The envelope as well: only what a notification is about and how it opens must
// be there and in order.
func TestParseNotificationLeavesOut(t *testing.T) {
	valid := newNotification(t, newRefundNotification())
	for field, max := range map[string]int{"create_time": 64, "resource_type": 64, "summary": 256, "resource.original_type": 64} {
		for _, value := range []any{1, true, map[string]any{}, []any{"x"}, strings.Repeat("x", max+1)} {
			n, err := ParseNotification(edit(t, valid, func(m map[string]any) {
				name := field
				if inner, ok := strings.CutPrefix(field, "resource."); ok {
					m, name = m["resource"].(map[string]any), inner
				}
				m[name] = value
			}))
			told := map[string]string{
				"create_time": n.CreateTime, "resource_type": n.ResourceType, "summary": n.Summary, "resource.original_type": n.Resource.OriginalType,
			}[field]
			if err != nil || n.LeftOut != field || told != "" {
				t.Errorf("%s %.20v: %q, left out %q, error %v", field, value, told, n.LeftOut, err)
			}
		}
	}
}
