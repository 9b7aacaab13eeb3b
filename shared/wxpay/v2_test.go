package wxpay

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The examples of WeChat Pay's own page on refunds (Global, 2019-11-20), with the
// no-break spaces and the trailing white space that they have there.
func TestParseFieldsExamples(t *testing.T) {
	want := map[string]Fields{
		"v2_refund_accepted.xml": {
			"return_code": "SUCCESS", "return_msg": "OK", "appid": "wx2421b1c4370ec43b", "mch_id": "10000100", "sub_mch_id": "452532745",
			"nonce_str": "0ScvLJ2uasseqcoQ", "sign": "2457A269C435031EB2F2E0EE531DABDD", "result_code": "SUCCESS",
			"transaction_id": "4200001126202109090793359667", "out_trade_no": "1678371718207313", "out_refund_no": "REF16001202",
			"refund_id": "50201409582021110313317567694", "refund_channel": "", "refund_fee": "1", "coupon_refund_fee": "0",
			"total_fee": "1", "cash_fee": "7", "fee_type": "EUR", "coupon_refund_count": "0", "cash_refund_fee": "7",
			"refund_fee_type": "EUR", "cash_fee_type": "CNY", "cash_refund_fee_type": "CNY",
		},
		"v2_refund_refused_fully_refunded.xml": {
			"return_code": "SUCCESS", "return_msg": "OK", "appid": "wx2421b1c4370ec43b", "mch_id": "10000100", "sub_mch_id": "452532745",
			"nonce_str": "3LyB9n5DeLnneJ1p", "sign": "3DC2A09C6CB967088C85ADD64CCCBA0A", "result_code": "FAIL",
			"err_code": "INVALID_REQUEST", "err_code_des": "订单已全额退款",
		},
		"v2_refund_refused_not_enough.xml": {
			"return_code": "SUCCESS", "return_msg": "OK", "appid": "wx2421b1c4370ec43b", "mch_id": "10000100", "sub_mch_id": "440219171",
			"nonce_str": "KUX981nx6iLew1UR", "sign": "AEA3AEBCB295090718B3D3593D79853731014238BFFB432152DC8F8916F22749",
			"result_code": "FAIL", "err_code": "NOTENOUGH", "err_code_des": "交易未结算资金不足,请使用可用余额退款",
		},
		"v2_refund_accepted_short.xml": {
			"return_code": "SUCCESS", "return_msg": "OK", "appid": "wx2421b1c4370ec43b", "mch_id": "10000100",
			"nonce_str": "NfsMFbUFpdbEhPXP", "sign": "B7274EB9F8925EB93100DD2085FA56C0", "result_code": "SUCCESS",
			"transaction_id": "1008450740201411110005820873", "out_trade_no": "1415757673", "out_refund_no": "1415701182",
			"refund_id": "2008450740201411110000174436", "refund_fee": "1", "cash_refund_fee_type": "CNY",
		},
	}
	files, err := filepath.Glob("testdata/v2_*.xml")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d files, want %d; error %v", len(files), len(want), err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for how, body := range map[string][]byte{
				"as it is":           body,
				"with CR LF":         bytes.ReplaceAll(body, []byte("\n"), []byte("\r\n")),
				"with a declaration": append([]byte(`<?xml version="1.0" encoding="UTF-8"?>`), body...),
			} {
				got, err := ParseFields(body, "xml")
				if err != nil {
					t.Fatalf("%s: %v", how, err)
				}
				if diff := cmp.Diff(want[filepath.Base(file)], got); diff != "" {
					t.Errorf("%s: fields (-want +got):\n%s", how, diff)
				}
				checkRoundTrip(t, got)
			}
		})
	}
}

// checkRoundTrip writes f down and reads it again, with our reader and, as a list
// of elements, with that of the standard library.
func checkRoundTrip(t *testing.T, f Fields) {
	t.Helper()
	text := f.XML()
	if bytes.ContainsAny(text, "\r") || !bytes.HasPrefix(text, []byte("<xml>")) || !bytes.HasSuffix(text, []byte("</xml>")) {
		t.Errorf("it is written down as %.200q", text)
	}
	again, err := ParseFields(text, "xml")
	if err != nil {
		t.Fatalf("%.200q cannot be read: %v", text, err)
	}
	if diff := cmp.Diff(f, again); diff != "" {
		t.Errorf("written down and read (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(f, theirFields(t, text)); diff != "" {
		t.Errorf("as encoding/xml reads it (-want +got):\n%s", diff)
	}
}

// theirFields reads a flat message into a structure.
func theirFields(t *testing.T, text []byte) Fields {
	t.Helper()
	var all struct {
		Children []struct {
			XMLName xml.Name
			Value   string `xml:",chardata"`
		} `xml:",any"`
	}
	if err := xml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	f := Fields{}
	for _, c := range all.Children {
		f[c.XMLName.Local] = c.Value
	}
	return f
}

func TestParseFields(t *testing.T) {
	for _, tt := range []struct {
		name, body, root string
		want             Fields
	}{
		{"empty", `<xml></xml>`, "xml", Fields{}},
		{"empty, in short", `<xml/>`, "xml", Fields{}},
		{"of req_info", `<root><refund_fee>1</refund_fee></root>`, "root", Fields{"refund_fee": "1"}},
		{"empty elements", `<xml><a></a><b/><c /><d><![CDATA[]]></d><e> </e></xml>`, "xml", Fields{"a": "", "b": "", "c": "", "d": "", "e": ""}},
		{"an element like the root", `<xml><xml>1</xml></xml>`, "xml", Fields{"xml": "1"}},
		{"white space in tags", "<xml ><a\n>1</a\t></xml\r\n>", "xml", Fields{"a": "1"}},
		{"white space around", " \r\n\t<xml><a>1</a></xml> \r\n\t", "xml", Fields{"a": "1"}},
		{"white space between", "<xml> \r\n\t\u00a0\u3000<a>1</a>\u2028<b>2</b>\u00a0</xml>", "xml", Fields{"a": "1", "b": "2"}},
		{"white space around text", "<xml><a> \r\n\t1 2\t\r\n </a></xml>", "xml", Fields{"a": "1 2"}},
		{"white space in CDATA", "<xml><a><![CDATA[ 1\t\n]]></a></xml>", "xml", Fields{"a": " 1\t\n"}},
		{"white space around CDATA", "<xml><a>\n\t<![CDATA[ 1 ]]>\n\t</a></xml>", "xml", Fields{"a": " 1 "}},
		{"white space between two CDATA", "<xml><a> <![CDATA[1]]> <![CDATA[2]]> </a></xml>", "xml", Fields{"a": "1 2"}},
		{"empty CDATA before white space", "<xml><a><![CDATA[]]> 1<![CDATA[]]></a></xml>", "xml", Fields{"a": " 1"}},
		{"no-break space is not white space in a value", "<xml><a>\u00a01\u00a0</a></xml>", "xml", Fields{"a": "\u00a01\u00a0"}},
		{"ends of lines", "<xml><a><![CDATA[1\r\n2\r3\n4]]></a></xml>", "xml", Fields{"a": "1\n2\n3\n4"}},
		{"text and CDATA", "<xml><a>1<![CDATA[<2>]]>3</a></xml>", "xml", Fields{"a": "1<2>3"}},
		{"CDATA, split", "<xml><a><![CDATA[]]]]><![CDATA[>]]></a></xml>", "xml", Fields{"a": "]]>"}},
		{"markup in CDATA", "<xml><a><![CDATA[<!DOCTYPE x><a>&lt;&x;<!-- -->]]></a></xml>", "xml", Fields{"a": "<!DOCTYPE x><a>&lt;&x;<!-- -->"}},
		{"the five entities", "<xml><a>&lt;&gt;&amp;&apos;&quot;</a></xml>", "xml", Fields{"a": `<>&'"`}},
		{"references", "<xml><a>&#20013;&#x4E2d;&#13;1</a></xml>", "xml", Fields{"a": "中中\r1"}},
		{"a replacement character", "<xml><a>\uFFFD</a></xml>", "xml", Fields{"a": "\uFFFD"}},
		{"beyond the first plane", "<xml><a>😀&#128512;</a></xml>", "xml", Fields{"a": "😀😀"}},
		{"quotes", `<xml><a>"'></a></xml>`, "xml", Fields{"a": `"'>`}},
		{"names", "<xml><A_b-c.9>1</A_b-c.9><_>2</_><refund_status_0>3</refund_status_0></xml>", "xml", Fields{"A_b-c.9": "1", "_": "2", "refund_status_0": "3"}},
		{"names in two cases", "<xml><a>1</a><A>2</A></xml>", "xml", Fields{"a": "1", "A": "2"}},
		{"512 elements", "<xml>" + elements(512) + "</xml>", "xml", nil},

		{"declared", `<?xml version="1.0"?><xml/>`, "xml", Fields{}},
		{"declared UTF-8", `<?xml version="1.0" encoding="utf-8"?><xml/>`, "xml", Fields{}},
		{"declared with apostrophes", `<?xml version='1.0' encoding='UTF-8' ?>` + "\n<xml/>", "xml", Fields{}},
		{"declared to stand alone", `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><xml/>`, "xml", Fields{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseFields([]byte(tt.body), tt.root)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); tt.want != nil && diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			checkRoundTrip(t, got)
		})
	}
}

// elements writes down n elements that differ in their names.
func elements(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "<e%d>1</e%d>", i, i)
	}
	return b.String()
}

// hostile are messages that are not to be read: attacks on XML parsers, and one
// valid message with one thing changed.
func hostile() map[string]string {
	const valid = `<xml><return_code><![CDATA[SUCCESS]]></return_code><refund_fee>1</refund_fee></xml>`
	laughs := `<!DOCTYPE xml [<!ENTITY l0 "canary-body">`
	for i := range 9 {
		laughs += fmt.Sprintf(`<!ENTITY l%d "%s">`, i+1, strings.Repeat(fmt.Sprintf("&l%d;", i), 10))
	}
	m := map[string]string{
		// Attacks.
		"XXE, a file":            `<!DOCTYPE xml [<!ENTITY x SYSTEM "file:///etc/passwd">]><xml><a>&x;</a></xml>`,
		"XXE, an external DTD":   `<!DOCTYPE xml SYSTEM "http://127.0.0.1:1/x.dtd"><xml><a>1</a></xml>`,
		"XXE, XInclude":          `<xml xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include parse="text" href="file:///etc/passwd"/></xml>`,
		"billion laughs":         laughs + `]><xml><a>&l9;</a></xml>`,
		"quadratic blow-up":      `<!DOCTYPE xml [<!ENTITY x "` + strings.Repeat("x", 20000) + `">]><xml><a>` + strings.Repeat("&x;", 10000) + `</a></xml>`,
		"a DOCTYPE, harmless":    `<!DOCTYPE xml>` + valid,
		"a DOCTYPE inside":       `<xml><!DOCTYPE xml><a>1</a></xml>`,
		"a DOCTYPE behind":       valid + `<!DOCTYPE xml>`,
		"an unknown entity":      `<xml><a>&nbsp;</a></xml>`,
		"an entity not ended":    `<xml><a>&lt</a></xml>`,
		"an ampersand":           `<xml><a>1 & 2</a></xml>`,
		"nested 3 deep":          `<xml><a><b>1</b></a></xml>`,
		"nested 20,000 deep":     strings.Repeat("<a>", 20000),
		"nested and closed":      `<xml>` + strings.Repeat("<a>", 9000) + strings.Repeat("</a>", 9000) + `</xml>`,
		"513 elements":           `<xml>` + elements(513) + `</xml>`,
		"a million attributes":   `<xml ` + strings.Repeat(`a="1" `, 10000) + `/>`,
		"a comment":              `<xml><!-- --><a>1</a></xml>`,
		"a comment in a value":   `<xml><a>1<!-- -->2</a></xml>`,
		"a style sheet":          `<?xml-stylesheet href="http://127.0.0.1:1/"?>` + valid,
		"a declaration inside":   `<xml><?xml version="1.0"?><a>1</a></xml>`,
		"two declarations":       `<?xml version="1.0"?><?xml version="1.0"?>` + valid,
		"a declaration, late":    ` <?xml version="1.0"?>` + valid,
		"a declaration, bare":    `<?xml?>` + valid,
		"declared GBK":           `<?xml version="1.0" encoding="GBK"?>` + valid,
		"declared XML 1.1":       `<?xml version="1.1"?>` + valid,
		"declared oddly":         `<?xml version="1.0" encoding="utf-8" x="y"?>` + valid,
		"declared in disorder":   `<?xml encoding="utf-8" version="1.0"?>` + valid,
		"declared alone, oddly":  `<?xml version="1.0" standalone="maybe"?>` + valid,
		"UTF-16":                 "\xff\xfe<\x00x\x00m\x00l\x00/\x00>\x00",
		"a byte order mark":      "\ufeff" + valid,
		"a prefix":               `<x:xml><a>1</a></x:xml>`,
		"a prefixed element":     `<xml><x:a>1</x:a></xml>`,
		"a colon before":         `<xml><:a>1</:a></xml>`,
		"a colon behind":         `<xml><a:>1</a:></xml>`,
		"two colons":             `<xml><a:b:c>1</a:b:c></xml>`,
		"an attribute":           `<xml><a b="c">1</a></xml>`,
		"an attribute, root":     `<xml a="b"><a>1</a></xml>`,
		"an odd name":            `<xml><中>1</中></xml>`,
		"twice":                  `<xml><refund_fee>1</refund_fee><refund_fee>2</refund_fee></xml>`,
		"twice, the first empty": `<xml><a/><a>1</a></xml>`,
		"a second root":          valid + valid,
		"a second root, empty":   valid + `<xml/>`,
		"text behind":            valid + `x`,
		"CDATA behind":           valid + `<![CDATA[]]>`,
		"a space behind, odd":    valid + "\u00a0",
		"an end behind":          valid + `</xml>`,
		"a space before, odd":    "\u00a0" + valid,
		"CDATA before":           `<![CDATA[]]>` + valid,
		"text between":           `<xml>x<a>1</a></xml>`,
		"CDATA between":          `<xml><![CDATA[]]><a>1</a></xml>`,
		"a reference between":    `<xml>&#32;<a>1</a></xml>`,

		// Malformed.
		"empty":                  ``,
		"blank":                  ` `,
		"a declaration alone":    `<?xml version="1.0"?>`,
		"JSON":                   `{"return_code":"SUCCESS"}`,
		"another root":           `<root><a>1</a></root>`,
		"the root in capitals":   `<XML><a>1</a></XML>`,
		"an end first":           `</xml>`,
		"no end":                 `<xml><a>1</a>`,
		"no end of an element":   `<xml><a>1</xml>`,
		"crossed":                `<xml><a>1<b></a></b></xml>`,
		"closed by another":      `<xml><a>1</b></xml>`,
		"closed by a prefix":     `<xml><a>1</x:a></xml>`,
		"root closed by another": `<xml><a>1</a></root>`,
		"closed early":           `<xml></a></xml>`,
		"CDATA not ended":        `<xml><a><![CDATA[1</a></xml>`,
		"the end of CDATA":       `<xml><a>1]]>2</a></xml>`,
		"not UTF-8":              "<xml><a>\xff</a></xml>",
		"not UTF-8, in CDATA":    "<xml><a><![CDATA[\xc0\x80]]></a></xml>",
		"a null":                 "<xml><a>\x00</a></xml>",
		"reference to surrogate": `<xml><a>&#xD800;</a></xml>`,
		"reference to two halfs": `<xml><a>&#xD83D;&#xDE00;</a></xml>`,
		"reference too high":     `<xml><a>&#x110000;</a></xml>`,
	}
	for i := 1; i < len(valid); i++ {
		m[fmt.Sprintf("cut after %d bytes", i)] = valid[:i]
	}
	return m
}

// sized is a message of n bytes.
func sized(n int) []byte {
	return []byte("<xml><a>" + strings.Repeat("1", n-len("<xml><a></a></xml>")) + "</a></xml>")
}

func TestParseFieldsRefuses(t *testing.T) {
	for name, body := range hostile() {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			f, err := ParseFields([]byte(body), "xml")
			if !errors.Is(err, ErrFormat) || f != nil {
				t.Errorf("fields %v, error %v, want none and %v", f, err, ErrFormat)
			}
			if d := time.Since(start); d > time.Second {
				t.Errorf("it took %v", d)
			}
			if s := fmt.Sprint(err); len(s) > 120 || strings.Contains(s, "canary") || strings.Contains(s, "passwd") {
				t.Errorf("the error quotes the message: %.200q", s)
			}
		})
	}
	for _, n := range []int{64<<10 + 1, 10 << 20} {
		body := sized(n)
		if f, err := ParseFields(body, "xml"); !errors.Is(err, ErrTooLarge) || f != nil {
			t.Errorf("%d bytes: error %v, want %v", len(body), err, ErrTooLarge)
		}
	}
	if f, err := ParseFields(sized(64<<10), "xml"); err != nil || len(f["a"]) != 64<<10-18 {
		t.Errorf("64 KiB: %d bytes, error %v", len(f["a"]), err)
	}
	// The other message's root is another message's.
	if _, err := ParseFields([]byte("<xml/>"), "root"); !errors.Is(err, ErrFormat) {
		t.Errorf("xml for root: error %v, want %v", err, ErrFormat)
	}
}

// What is refused is refused before it costs memory: nothing is expanded, and
// depth takes no room.
func TestParseFieldsMemory(t *testing.T) {
	for _, name := range []string{"billion laughs", "quadratic blow-up", "nested 20,000 deep", "nested and closed"} {
		body := []byte(hostile()[name])
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		ParseFields(body, "xml")
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 256<<10 {
			t.Errorf("%s: %d bytes of memory for a message of %d", name, n, len(body))
		}
	}
}

func TestFieldsXML(t *testing.T) {
	for _, tt := range []struct {
		name string
		f    Fields
		want string
	}{
		{"nil", nil, `<xml></xml>`},
		{"acknowledgement", Fields{"return_code": "SUCCESS", "return_msg": "OK"},
			`<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>`},
		{"sorted by bytes", Fields{"b": "1", "a_0": "2", "a": "3", "Z": "4", "a_10": "5", "a_9": "6"},
			`<xml><Z><![CDATA[4]]></Z><a><![CDATA[3]]></a><a_0><![CDATA[2]]></a_0><a_10><![CDATA[5]]></a_10><a_9><![CDATA[6]]></a_9><b><![CDATA[1]]></b></xml>`},
		{"an empty value", Fields{"a": ""}, `<xml><a><![CDATA[]]></a></xml>`},
		{"the end of CDATA", Fields{"a": "1]]>2"}, `<xml><a><![CDATA[1]]]]><![CDATA[>2]]></a></xml>`},
		{"a carriage return", Fields{"a": "1\r\n"}, "<xml><a><![CDATA[1]]>&#13;<![CDATA[\n]]></a></xml>"},
		{"an injection", Fields{"a": "]]></a><refund_fee>1</refund_fee><a><![CDATA["},
			`<xml><a><![CDATA[]]]]><![CDATA[></a><refund_fee>1</refund_fee><a><![CDATA[]]></a></xml>`},
		{"names that are none", Fields{"": "1", "a>": "2", "a b": "3", "/a": "4", "0": "5", "x:y": "6", "ok": "7"}, `<xml><ok><![CDATA[7]]></ok></xml>`},
		{"values that are none", Fields{"a": "\x00\xff\uFFFE\ud7ff"}, "<xml><a><![CDATA[\uFFFD\uFFFD\uFFFD\ud7ff]]></a></xml>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, string(tt.f.XML())); diff != "" {
				t.Errorf("XML (-want +got):\n%s", diff)
			}
			if _, err := ParseFields(tt.f.XML(), "xml"); err != nil {
				t.Error("it cannot be read:", err)
			}
		})
	}
	for _, value := range []string{
		"]]>", "]]]>", "]]]]>>", "]]>]]>", "]", "]]", ">", "<![CDATA[", "&amp;", "&#13;", "\r", "\r\r", " \r ", "\r]]>\r", " ", "\n\t", "\u00a0", "'\"<>&", "退款成功😀", "\uFFFD",
	} {
		checkRoundTrip(t, Fields{"a": value, "b": "1" + value, "c": value + "1", "d": value + value})
	}
}
