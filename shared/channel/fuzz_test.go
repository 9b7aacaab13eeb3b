package channel

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"wxrefund/shared/refund"
)

// FuzzCloudPayAnswer: no answer of the gateway makes us panic, take long, or read
// the same bytes in two ways; what is read is within bounds.
func FuzzCloudPayAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"returnCode":"SUCCESS","result_code":"SUCCESS","out_refund_no":"R1","refund_fee":60,"total_fee":100,"coupon_refund_count":1,"coupon_type_0":"CASH"}`,
		`{"return_code":"SUCCESS","result_code":"SUCCESS","refund_count":2,"out_refund_no_list":["R1","R2"],"refund_channel":["ORIGINAL"],"coupon_refund_count_list":[1,0],"coupon_type_array":[["CASH"],[]]}`,
		`{"refund_count":1,"out_refund_no_0":"R1","refund_success_time_0":"2016-07-25 15:26:26","refund_status_0":"CHANGE","total_refund_count":36}`,
		`{"refund_count":"99999999999999999999","refund_fee_0":-1}`, `{"refundCount":1e2}`, `{"a":[[[[]]]]}`, `{"a_list":[1],"a_0":2}`, `[]`, `null`, ``, `{"a":{}}x`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		fields, err := flatten(answer)
		again, errAgain := flatten(answer)
		if (err == nil) != (errAgain == nil) || err == nil && !reflect.DeepEqual(fields, again) {
			t.Fatalf("%v, %v, then %v, %v", fields, err, again, errAgain)
		}
		if err != nil {
			return
		}
		for _, l := range []refund.Lookup{{OutRefundNo: "R1"}, {OutTradeNo: "O1", Offset: 3}} {
			v := &v2{fields: fields}
			page, err := v.answer(l)
			if err != nil {
				if !refund.IsCode(err, refund.CodeUnavailable) {
					t.Fatal(err)
				}
				continue
			}
			if len(page.Refunds) > maxV2 || page.RefundCount != len(page.Refunds) || page.TotalRefundCount < page.Offset+page.RefundCount {
				t.Fatalf("%+v", page)
			}
			for _, r := range page.Refunds {
				checkRefund(t, r)
			}
		}
		v := &v2{fields: fields}
		if r := v.accepted(); v.err == nil {
			checkRefund(t, r)
		}
	})
}

func checkRefund(t *testing.T, r refund.Refund) {
	t.Helper()
	if r.Amount.Refund < 0 || r.Amount.Total < 0 || len(r.PromotionDetail) > maxV2 {
		t.Fatalf("%+v", r)
	}
}

// FuzzModuleAnswer: no answer of the module makes us panic or be of two minds, and
// no refusal is certain whose code is not in the table.
func FuzzModuleAnswer(f *testing.F) {
	paths, err := filepath.Glob("testdata/module/*.json")
	if err != nil || len(paths) == 0 {
		f.Fatal(paths, err)
	}
	for _, path := range paths {
		answer, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(answer)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		got, err := readModule(answer)
		again, errAgain := readModule(answer)
		if !reflect.DeepEqual(got, again) || (err == nil) != (errAgain == nil) {
			t.Fatalf("%+v, %v, then %+v, %v", got, err, again, errAgain)
		}
		if err == nil {
			return
		}
		e := refund.AsError(err)
		if _, known := apiv3Errors()[e.Upstream]; e.Code != refund.CodeUnavailable && !known {
			t.Fatalf("%v", e)
		}
		if strings.ContainsAny(e.Message+e.Upstream, "\n\r") || len([]rune(e.Message)) > 300 {
			t.Fatalf("message %q", e.Message)
		}
	})
}
