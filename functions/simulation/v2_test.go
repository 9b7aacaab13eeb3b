package simulation_test

import (
	"bytes"
	"crypto/aes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// v2, read without package wxpay: it is what our side stands on.

// asksV2: WeChat Pay Global has a path for each, and XML.
func asksV2(req *http.Request, body []byte) question {
	fields := elements(body)
	return asked(strings.HasSuffix(req.URL.Path, "/refund"), func(name string) string { return fields[name] })
}

func readsV2(_ *world, q question, r *wireReply) answer {
	fields, s := elements(r.body), keys().of["global"].settings
	if r.status != http.StatusOK || fields["sign"] == "" || fields["sign"] != signV2(fields, s["WXPAY_API_KEY"]) || fields["mch_id"] != s["WXPAY_MCHID"] {
		return answer{says: "nothing"}
	}
	return readsFlat(q, fields)
}

// readsFlat reads an answer of v2. An application's says that it is accepted and no more.
func readsFlat(q question, fields map[string]string) answer {
	switch {
	case fields["return_code"] != "SUCCESS":
		return answer{says: fields["return_msg"]}
	case fields["result_code"] != "SUCCESS":
		passing := map[string]bool{"": true, "SYSTEMERROR": true, "BIZERR_NEED_RETRY": true, "INVALID_REQ_TOO_MUCH": true, "FREQUENCY_LIMITED": true}
		return answer{refused: !passing[fields["err_code"]], says: fields["err_code"]}
	case q.verb == "send":
		return answer{statuses: map[string]string{fields["out_refund_no"]: "PROCESSING"}, mixable: true, says: "accepted"}
	}
	a := answer{statuses: map[string]string{}, mixable: !q.many}
	n, err := strconv.Atoi(fields["refund_count"])
	if err != nil {
		return answer{says: "nothing"}
	}
	a.exists = n > 0 && !q.many && fields["out_refund_no_0"] == ""
	a.mixable = a.mixable && !a.exists // which names no refund
	for i := range n {
		no, status := fields[fmt.Sprint("out_refund_no_", i)], fromV2(fields[fmt.Sprint("refund_status_", i)])
		a.statuses[no] = status
		a.says += no + " " + status + " "
	}
	return a
}

var wordsV2 = map[string]string{"SUCCESS": "SUCCESS", "CLOSED": "REFUNDCLOSE", "ABNORMAL": "CHANGE", "PROCESSING": "PROCESSING"}

func toV2(status string) string { return wordsV2[status] }

func fromV2(word string) string {
	for status, w := range wordsV2 {
		if w == word {
			return status
		}
	}
	return ""
}

// elements are the children of the root and their text; nil if it is no XML.
func elements(body []byte) map[string]string {
	var root struct {
		Children []struct {
			XMLName xml.Name
			Text    string `xml:",chardata"`
		} `xml:",any"`
	}
	if xml.Unmarshal(body, &root) != nil {
		return nil
	}
	fields := map[string]string{}
	for _, c := range root.Children {
		fields[c.XMLName.Local] = c.Text
	}
	return fields
}

// signV2 is the signature of a message by HMAC-SHA256.
func signV2(fields map[string]string, key string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if value := fields[name]; value != "" && name != "sign" {
			fmt.Fprintf(&b, "%s=%s&", name, value)
		}
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(b.String() + "key=" + key))
	return strings.ToUpper(hex.EncodeToString(mac.Sum(nil)))
}

// opensV2: a notification of v2 that opens with our key, and is about our merchant, is a hint.
func opensV2(_ *world, l notification) (no, status string, believed trust) {
	s := keys().of["global"].settings
	outer := elements(l.body)
	if outer["return_code"] != "SUCCESS" || outer["mch_id"] != s["WXPAY_MCHID"] || outer["sub_mch_id"] != "" {
		return "", "", forged
	}
	inner := elements(unsealV2(outer["req_info"], s["WXPAY_API_KEY"]))
	no, status = inner["out_refund_no"], fromV2(inner["refund_status"])
	if no == "" || status == "" || status == "PROCESSING" {
		return "", "", forged
	}
	return no, status, hinted
}

// cipherV2 is AES-256 under the MD5 of the API key, block by block.
func cipherV2(key string, b []byte, open bool) {
	sum := md5.Sum([]byte(key))
	block, err := aes.NewCipher([]byte(hex.EncodeToString(sum[:])))
	if err != nil {
		panic(err)
	}
	for i := 0; i+aes.BlockSize <= len(b); i += aes.BlockSize {
		if open {
			block.Decrypt(b[i:], b[i:])
		} else {
			block.Encrypt(b[i:], b[i:])
		}
	}
}

// unsealV2 returns what is sealed; nil if it does not open.
func unsealV2(sealed, key string) []byte {
	b, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(b) == 0 || len(b)%aes.BlockSize != 0 {
		return nil
	}
	cipherV2(key, b, true)
	n := int(b[len(b)-1])
	if n < 1 || n > aes.BlockSize || !bytes.HasSuffix(b, bytes.Repeat([]byte{byte(n)}, n)) {
		return nil
	}
	return b[:len(b)-n]
}

func sealV2(plain []byte, key string) string {
	n := aes.BlockSize - len(plain)%aes.BlockSize
	b := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(n)}, n)...)
	cipherV2(key, b, false)
	return base64.StdEncoding.EncodeToString(b)
}

// forgesV2 are a notification that was sealed with another key, and one of APIv3, which
// this merchant has no key for.
func forgesV2(w *world, no, status string) []notification {
	plain := fmt.Appendf(nil, "<root><out_refund_no>%s</out_refund_no><refund_status>%s</refund_status></root>", no, toV2(status))
	body := fmt.Appendf(nil, "<xml><return_code>SUCCESS</return_code><mch_id>%s</mch_id><req_info>%s</req_info></xml>",
		keys().of["global"].settings["WXPAY_MCHID"], sealV2(plain, strings.Repeat("k", 32)))
	return []notification{
		{id: "sealed by a stranger", header: http.Header{"Content-Type": {"text/xml"}}, body: body},
		w.invent(no, status),
	}
}
