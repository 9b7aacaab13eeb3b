package wecom_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/hex"
	"io"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"wxrefund/shared/sandbox/sandboxtest"
)

const billPath = "/cgi-bin/miniapppay/get_bill"

// get downloads with an Authorization.
func get(w *sandboxtest.World, address, auth string) sandboxtest.Answer {
	w.T.Helper()
	u, err := url.Parse(address)
	if err != nil {
		w.T.Fatal(err)
	}
	r := httptest.NewRequest("GET", u.RequestURI(), nil)
	r.Header.Set("Authorization", auth)
	return sandboxtest.Serve(w.Sandbox.WeChat(), r)
}

func TestWeComLendsTheAuthorizationForABill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Order("T00001")
		w.WeCom(sandboxtest.WeComPath, sandboxtest.WeComRefund)
		body := `{"mchid":"1900000001","bill_date":"` + w.Issued() + `","bill_type":"REFUND","tar_type":"GZIP"}`
		ask := func() (sandboxtest.Answer, string, string) {
			a := w.WeCom(billPath, body)
			address, _ := a.Field("download_url").(string)
			auth, _ := a.Field("auth").(string)
			return a, address, auth
		}
		a, address, auth := ask()
		if a.Field("errcode") != 0.0 || a.Field("hash_type") != "SHA1" || !strings.HasPrefix(auth, "WECHATPAY2-SHA256-RSA2048 ") {
			t.Fatalf("answer %s", a.Body)
		}
		if a := get(w, address, auth+"x"); a.Status != 401 {
			t.Errorf("another authorization: %d %s, want 401", a.Status, a.Body)
		}
		file := get(w, address, auth)
		z, err := gzip.NewReader(bytes.NewReader(file.Body))
		if err != nil {
			t.Fatalf("%d %s: %v", file.Status, file.Body, err)
		}
		plain, err := io.ReadAll(z)
		sum := sha1.Sum(plain)
		if err != nil || hex.EncodeToString(sum[:]) != a.Field("hash_value") || !strings.Contains(string(plain), ",`R_1-|*@,`8.88,") {
			t.Errorf("file %s: %v, SHA1 %x, want %v", plain, err, sum, a.Field("hash_value"))
		}
		_, address, auth = ask()
		w.Advance("30s")
		if a := get(w, address, auth); a.Status != 400 {
			t.Errorf("half a minute later: %d %s, want 400", a.Status, a.Body)
		}
	})
}

// One thing of a request that is granted is changed.
func TestEachRuleOfWeComsBillIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Order("T00001")
		valid := `{"mchid":"1900000001","bill_date":"` + w.Issued() + `"}`
		for _, tc := range []struct {
			field string
			value any
			code  float64
			words string
		}{
			{"/bill_type", "ALL", 0, "ok"},
			{"/bill_type", "OTHER", 40058, "bill_type"},
			{"/tar_type", "ZIP", 40058, "tar_type"},
			{"/mchid", "1900000002", 720510, "mchid"},
			{"/mchid", nil, 40058, "mchid"},
			{"/bill_date", "20000101xx", 40058, "bill_date"},
			{"/bill_date", "1999-12-31", 720512, "NO_STATEMENT_EXIST"},
			{"/bill_date", w.Today(0), 720502, "日期"},
		} {
			a := w.WeCom(billPath, sandboxtest.Set(t, valid, tc.field, tc.value))
			if words, _ := a.Field("errmsg").(string); a.Field("errcode") != tc.code || !strings.Contains(words, tc.words) {
				t.Errorf("%s %v: %s, want %v %s", tc.field, tc.value, a.Body, tc.code, tc.words)
			}
		}
	})
}
