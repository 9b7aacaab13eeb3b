package wxpay

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSnakeNames(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "out_refund_no": "out_refund_no", "outRefundNo": "out_refund_no", "returnCode": "return_code",
		"ParsedContent": "parsed_content", "refund_status_0": "refund_status_0", "refundStatus_0": "refund_status_0", "退款": "退款",
	} {
		if d := cmp.Diff(any(map[string]any{want: "aB"}), SnakeNames(map[string]any{name: "aB"})); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	var v any
	if err := json.Unmarshal([]byte(`{"outRefundNo":"aB","amount":{"payerTotal":1},"list":[{"goodsName":"x"},null,"aB"]}`), &v); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(SnakeNames(v))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(`{"amount":{"payer_total":1},"list":[{"goods_name":"x"},null,"aB"],"out_refund_no":"aB"}`, string(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Of two spellings that say two things neither counts, whichever comes first.
func TestSnakeNamesInTwoWays(t *testing.T) {
	for text, want := range map[string]string{
		`{"outRefundNo":"a","out_refund_no":"a"}`:                   `{"out_refund_no":"a"}`,
		`{"outRefundNo":"a","out_refund_no":"b"}`:                   `{"out_refund_no":true}`,
		`{"outRefundNo":"a","out_refund_no":"b","OutRefundNo":"a"}`: `{"out_refund_no":true}`,
		`{"x":[{"aB":{"c":1},"a_b":{"c":2}}]}`:                      `{"x":[{"a_b":true}]}`,
		`{"aB":null,"a_b":1}`:                                       `{"a_b":true}`,
	} {
		for range 20 {
			var v any
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				t.Fatal(err)
			}
			if got, err := json.Marshal(SnakeNames(v)); err != nil || string(got) != want {
				t.Fatalf("%s: %s, %v, want %s", text, got, err, want)
			}
		}
	}
}
