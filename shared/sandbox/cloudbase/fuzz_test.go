package cloudbase

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/doortest"
	"wxrefund/shared/sandbox/v2"
	"wxrefund/shared/sandbox/world"
)

var entrances = []doortest.Entrance{
	{Name: "gateway, JSON", Head: "application/json", Body: `{"action":"wx.wxPayApi","envName":"e","apiName":"refund","requestData":"{}","n":[1,{"a":null}]}`, Enter: read},
	{Name: "gateway, form", Head: `multipart/form-data; boundary=b`, Body: "--b\r\nContent-Disposition: form-data; name=\"action\"\r\n\r\nwx.wxPayApi\r\n--b\r\n" +
		"Content-Disposition: form-data; name=\"requestData\"\r\nContent-Type: application/octet-stream\r\n\r\n{}\r\n--b--\r\n", Enter: read},
	{Name: "gateway over the wire", Head: "TC3-HMAC-SHA256 Credential=a/2024-02-29/tcb/tc3_request, SignedHeaders=host, Signature=0", Body: `{"action":"x"}`,
		Enter: func(w *world.World, head string, body []byte) string {
			return doortest.Send(w, open(w), "POST", "/admin", "", body, "Authorization", head, "X-Timestamp", head, "Content-Type", "application/json")
		}},
	{Name: "the template's module", Head: "cloudbase_module", Accepts: true, Enter: invoke,
		Body: `{"name":"wxpay_refund","data":{"out_trade_no":"T1","out_refund_no":"R1","amount":{"refund":1,"total":10000,"currency":"CNY"}}}`},
	{Name: "the module's query", Head: "cloudbase_module", Body: `{"name":"wxpay_refund_query","data":{"params":{"out_refund_no":"R0"}}}`, Enter: invoke},
	{Name: "the merchant's function", Head: "echo", Body: `{"type":"wxpay_refund","n":[1,{"a":null}]}`, Enter: invoke},
	{Name: "CloudPay", Head: "\n\x12wx5a4db0c0ffee0109", Accepts: true, Enter: pay("refund"),
		Body: `{"sub_mch_id":"1900000109","nonce_str":"n","out_trade_no":"T00001","out_refund_no":"R1","total_fee":10000,"refund_fee":1,"function_name":"f"}`},
	{Name: "CloudPay's query", Body: `{"sub_mch_id":"1900000109","nonce_str":"n","out_trade_no":"T1","offset":0}`, Enter: pay("queryRefund")},
	{Name: "acknowledgement", Body: `{"result":{"code":"SUCCESS"}}`, Enter: func(_ *world.World, _ string, body []byte) string {
		return doortest.Acknowledges(Vocabulary.Notifications[0], body)
	}},
}

func open(w *world.World) *Door {
	d, err := New(w, v2.New(w), Config{})
	if err != nil {
		panic(err)
	}
	d.SetFunctions(map[string]Function{"echo": func(_ context.Context, c Call) (json.RawMessage, error) { return c.Event, nil }})
	return d
}

func read(w *world.World, head string, body []byte) string {
	params, err := readParams(head, body)
	if err != nil {
		return ""
	}
	values := map[string][]byte{}
	for _, p := range params {
		values[p.Name] = p.Value
	}
	if _, ok := actions[string(values["action"])]; !ok {
		return ""
	}
	return act(w, string(values["action"]), values)
}

// act makes a call whose signature has been verified.
func act(w *world.World, action string, params map[string][]byte) string {
	c := call{Exchange: door.Open(w, httptest.NewRequest("POST", "/admin", nil))}
	for name, value := range params {
		c.params = append(c.params, cloudbase.Param{Name: name, Value: value})
	}
	answer := httptest.NewRecorder()
	actions[action](open(w), answer, c)
	if !json.Valid(answer.Body.Bytes()) || answer.Code >= 500 || strings.Contains(answer.Body.String(), "%!") {
		return http.StatusText(answer.Code) + ": " + answer.Body.String()
	}
	return ""
}

func invoke(w *world.World, head string, body []byte) string {
	return act(w, "functions.invokeFunction", map[string][]byte{"function_name": []byte(head), "request_data": body})
}

func pay(api string) func(*world.World, string, []byte) string {
	return func(w *world.World, head string, body []byte) string {
		return act(w, "wx.wxPayApi", map[string][]byte{"apiName": []byte(api), "apiOptions": []byte(head), "requestData": body})
	}
}

func FuzzEntrances(f *testing.F) { doortest.Fuzz(f, entrances) }
