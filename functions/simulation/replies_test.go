package simulation_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// Replies of the five systems, read as their documents have them and as little as
// is needed: which refund, which status, and whether a no is meant.

// asksV3: APIv3 has the number in the path of a question.
func asksV3(req *http.Request, body []byte) question {
	if req.Method != http.MethodPost {
		no, err := url.PathUnescape(path.Base(strings.TrimSuffix(req.URL.EscapedPath(), "/")))
		if err != nil {
			no = ""
		}
		return question{verb: "ask", no: no}
	}
	if strings.HasSuffix(req.URL.Path, "/apply-abnormal-refund") {
		return question{verb: "finish", no: text(body, "out_refund_no")}
	}
	return question{verb: "send", no: text(body, "out_refund_no")}
}

func readsV3(w *world, q question, r *wireReply) answer {
	status, code := text(r.body, "status"), text(r.body, "code") // what cannot be read tells nothing
	signed := r.header.Get("Wechatpay-Signature") != ""
	genuine := w.genuine(r.header, r.body)
	a := answer{mixable: r.status == http.StatusOK, says: fmt.Sprintf("%s%s genuine=%t", status, code, genuine)}
	switch {
	case r.status == http.StatusOK && genuine:
		a.statuses = map[string]string{text(r.body, "out_refund_no"): status}
	case r.status/100 == 4 && r.status != http.StatusTooManyRequests && code != "" && (genuine || !signed):
		a.refused = true // an error may come unsigned; TLS vouches for it
	}
	return a
}

// asksGateway: CloudBase's gateway is asked for everything at one place, in JSON,
// or in a form that holds JSON.
func asksGateway(req *http.Request, body []byte) question {
	kind, params, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil {
		return question{}
	}
	if kind == "application/json" {
		var call struct {
			Name string
			Data struct {
				OutRefundNo string `json:"out_refund_no"`
				Params      struct {
					OutRefundNo string `json:"out_refund_no"`
				}
			}
		}
		_ = json.Unmarshal([]byte(text(body, "request_data")), &call)
		if call.Name == "wxpay_refund" {
			return question{verb: "send", no: call.Data.OutRefundNo}
		}
		return question{verb: "ask", no: call.Data.Params.OutRefundNo}
	}
	parts := map[string][]byte{}
	for form := multipart.NewReader(bytes.NewReader(body), params["boundary"]); ; {
		part, err := form.NextPart()
		if err != nil {
			break
		}
		value, err := io.ReadAll(part)
		if err != nil {
			break
		}
		parts[part.FormName()] = value
	}
	data := parts["requestData"]
	return asked(string(parts["apiName"]) == "refund", func(name string) string { return text(data, name) })
}

// asked is a question in v2's names.
func asked(send bool, field func(name string) string) question {
	no := field("out_refund_no")
	if send {
		return question{verb: "send", no: no}
	}
	for _, name := range []string{"refund_id", "out_refund_no", "transaction_id", "out_trade_no"} {
		if value := field(name); value != "" {
			return question{verb: "ask", no: value, many: name != "out_refund_no"}
		}
	}
	return question{verb: "ask"}
}

// innerCode finds the code of a refusal, however deep the module has hidden it.
var innerCode = regexp.MustCompile(`\\*"code\\*":\s*\\*"([A-Z_]+)\\*"`)

// readsModule: cloudbase_module says no in many shapes, and yes in one.
func readsModule(_ *world, _ question, r *wireReply) answer {
	var outer struct {
		Data struct {
			Response string `json:"response_data"`
		}
	}
	if err := json.Unmarshal(r.body, &outer); err != nil || r.status != http.StatusOK {
		return answer{says: "nothing"}
	}
	var told struct {
		Data struct {
			OutRefundNo string `json:"out_refund_no"`
			Status      string
		}
	}
	_ = json.Unmarshal([]byte(outer.Data.Response), &told)
	if told.Data.OutRefundNo != "" && told.Data.Status != "" {
		return answer{statuses: map[string]string{told.Data.OutRefundNo: told.Data.Status}, mixable: true, says: told.Data.Status}
	}
	code := innerCode.FindStringSubmatch(outer.Data.Response)
	if code == nil {
		return answer{says: "nothing"}
	}
	switch code[1] {
	case "SYSTEM_ERROR", "SERVICE_UNAVAILABLE", "FREQUENCY_LIMITED", "RATELIMIT_EXCEEDED":
		return answer{says: code[1]}
	}
	return answer{refused: true, says: code[1]}
}

// readsPay: CloudPay answers with v2's fields in JSON, and with another content
// type when it is the gateway that speaks.
func readsPay(_ *world, q question, r *wireReply) answer {
	if r.status != http.StatusOK || r.header.Get("Content-Type") != "application/octet-stream" {
		return answer{says: "nothing"}
	}
	var fields map[string]any
	dec := json.NewDecoder(bytes.NewReader(r.body))
	dec.UseNumber()
	if err := dec.Decode(&fields); err != nil || fields["sub_mch_id"] != keys().of["cloudpay"].settings["WXPAY_SUB_MCHID"] && fields["result_code"] == "SUCCESS" {
		return answer{says: "nothing"}
	}
	flat := map[string]string{}
	for name, value := range fields {
		flat[name] = fmt.Sprint(value)
	}
	return readsFlat(q, flat)
}

// asksWeCom: WeCom has a path for each.
func asksWeCom(req *http.Request, body []byte) question {
	switch path.Base(req.URL.Path) {
	case "refund":
		return question{verb: "send", no: text(body, "out_refund_no")}
	case "get_refund_detail":
		return question{verb: "ask", no: text(body, "out_refund_no")}
	}
	return question{verb: "token", no: "token"}
}

// readsWeCom: WeCom answers all with 200 and an errcode. An application's answer
// says that it is accepted and no more.
func readsWeCom(_ *world, q question, r *wireReply) answer {
	var told struct {
		ErrCode     *int   `json:"errcode"`
		OutRefundNo string `json:"out_refund_no"`
		Status      string
	}
	if err := json.Unmarshal(r.body, &told); err != nil || r.status != http.StatusOK || told.ErrCode == nil || q.verb == "token" {
		return answer{says: "nothing"}
	}
	says := fmt.Sprint(*told.ErrCode, " ", told.Status)
	switch *told.ErrCode {
	case 0:
		if q.verb == "send" {
			told.Status = "PROCESSING"
		}
		return answer{statuses: map[string]string{told.OutRefundNo: told.Status}, mixable: true, says: says}
	case -1, 45009, 45033, 40014, 42001: // busy, too much, and tokens that have died
		return answer{says: says}
	}
	return answer{refused: true, says: says}
}

// text is a text in a JSON object; "" if there is none.
func text(body []byte, name string) string {
	var object map[string]json.RawMessage
	var s string
	_ = json.Unmarshal(body, &object) // what cannot be read says nothing
	_ = json.Unmarshal(object[name], &s)
	return s
}
