package control_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

func TestTheShareOfThePublicKeyIsSetAndGivenBack(t *testing.T) {
	w := sandboxtest.New(t)
	share := func(method, body string, status int) (out map[string]any) {
		w.Control(method, "/_sandbox/keys/share", body, status).Decode(t, &out)
		return out
	}
	byDay := map[string]any{"merchant": "switching", "percent": 0.1, "by_hand": false}
	if diff := cmp.Diff(byDay, share("GET", "", 200)); diff != "" {
		t.Errorf("at first (-want +got):\n%s", diff)
	}
	for _, percent := range []string{"0", "0.1", "33.5", "100"} {
		if got := share("POST", `{"percent":`+percent+`}`, 200); got["by_hand"] != true {
			t.Errorf("%s: %v", percent, got)
		}
	}
	for _, body := range []string{`{}`, ``, `{"percent":null}`, `{"percent":"50"}`, `{"percent":-0.1}`, `{"percent":100.1}`, `{"percent":1e999}`, `{"percent":1,"x":1}`, `{"Percent":1}`} {
		if got := share("POST", body, 400); got["error"] == "" {
			t.Errorf("%s: %v", body, got)
		}
	}
	if diff := cmp.Diff(map[string]any{"merchant": "switching", "percent": 100.0, "by_hand": true}, share("GET", "", 200)); diff != "" {
		t.Errorf("set (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(byDay, share("DELETE", "", 200)); diff != "" {
		t.Errorf("given back (-want +got):\n%s", diff)
	}
	for merchant, percent := range map[string]float64{"certificate": 0, "public-key": 100} {
		w = sandboxtest.New(t, func(c *sandbox.Config) { c.Merchant = merchant })
		share("POST", `{"percent":50}`, 409)
		share("DELETE", "", 409)
		if diff := cmp.Diff(map[string]any{"merchant": merchant, "percent": percent, "by_hand": false}, share("GET", "", 200)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", merchant, diff)
		}
	}
}

// What a merchant does not have is neither shown nor renewed.
func TestOnlyTheKeysOfTheMerchantsKindAreShown(t *testing.T) {
	for merchant, want := range map[string]struct{ certificate, public bool }{
		"": {true, true}, "certificate": {true, false}, "public-key": {false, true},
	} {
		w := sandboxtest.New(t, func(c *sandbox.Config) { c.Merchant = merchant })
		for _, rotated := range []bool{false, true} {
			serials := map[string]bool{}
			for _, k := range state(w).Keys {
				serials[k.Kind] = true
			}
			if diff := cmp.Diff(map[string]bool{"merchant": true, "certificate": want.certificate, "public_key": want.public}, map[string]bool{
				"merchant": serials["merchant"], "certificate": serials["certificate"], "public_key": serials["public_key"],
			}); diff != "" {
				t.Errorf("%q: keys (-want +got):\n%s", merchant, diff)
			}
			c := w.Control("GET", "/_sandbox/credentials", "", 200)
			for name, want := range map[string]bool{
				"platform_serial": want.certificate, "platform_cert": want.certificate, "public_key_id": want.public, "public_key": want.public,
			} {
				if text, ok := c.Field(name).(string); !ok || (text != "") != want {
					t.Errorf("%q: %s %q, want a text, empty: %t", merchant, name, text, !want)
				}
			}
			if rotated {
				break
			}
			a := w.Control("POST", "/_sandbox/keys/rotate", "", 200)
			for name, want := range map[string]bool{"platform_serial": want.certificate, "public_key_id": want.public, "old_until": true} {
				if (a.Field(name) != nil) != want {
					t.Errorf("%q rotated to %s, want %s there: %t", merchant, a.Body, name, want)
				}
			}
		}
	}
}

func TestNewKeysAreShownBeforeTheyAreUsed(t *testing.T) {
	for _, merchant := range []string{"certificate", "switching", "public-key"} {
		synctest.Test(t, func(t *testing.T) {
			w := sandboxtest.New(t, func(c *sandbox.Config) { c.Merchant = merchant })
			signers := func() map[string]bool {
				out := map[string]bool{}
				for range 30 {
					out[w.Call("GET", sandboxtest.RefundsPath+"/R1", "").Header.Get("Wechatpay-Serial")] = true
				}
				return out
			}
			w.Serial = ""
			old := signers()
			a := w.Control("POST", "/_sandbox/keys/rotate", `{"in":"24h"}`, 200)
			name := "platform_serial"
			if merchant == "public-key" {
				name = "public_key_id"
			}
			fresh, _ := a.Field(name).(string)
			if got := w.Control("GET", "/_sandbox/credentials", "", 200).Field(name); got != fresh {
				t.Errorf("%s: the credentials hold %v, want %v", merchant, got, fresh)
			}
			now := w.Sandbox.Now()
			for field, after := range map[string]time.Duration{"used_from": 24 * time.Hour, "old_until": 8 * 24 * time.Hour} {
				if got, want := a.Field(field), now.Add(after).Format(time.RFC3339); got != want {
					t.Errorf("%s: %s %v, want %s", merchant, field, got, want)
				}
			}
			w.Control("POST", "/_sandbox/keys/rotate", "", 409)
			w.Advance("23h59m59s")
			w.Serial = fresh // which is not used yet for who names it either
			if diff := cmp.Diff(old, signers()); diff != "" {
				t.Errorf("%s: a day before (-want +got):\n%s", merchant, diff)
			}
			w.Advance("1s")
			if diff := cmp.Diff(map[string]bool{fresh: true}, signers()); diff != "" {
				t.Errorf("%s: who names it (-want +got):\n%s", merchant, diff)
			}
			w.Serial = ""
			if got := signers(); len(got) != 2 || !got[fresh] {
				t.Errorf("%s: then %v, want both keys", merchant, got)
			}
			w.Advance("168h")
			if diff := cmp.Diff(map[string]bool{fresh: true}, signers()); diff != "" {
				t.Errorf("%s: a week later (-want +got):\n%s", merchant, diff)
			}
			for _, body := range []string{`{"in":"x"}`, `{"in":"-1s"}`, `{"in":"721h"}`, `{"in":24}`, `{"for":"24h"}`} {
				w.Control("POST", "/_sandbox/keys/rotate", body, 400)
			}
		})
	}
}

// Our settings hold two keys of a kind; WeChat Pay signs unasked with no third.
func TestOfThreeKeysTheOldestIsNotUsedUnasked(t *testing.T) {
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.Merchant = "public-key" })
	first := w.Serial
	for range 2 {
		w.Control("POST", "/_sandbox/keys/rotate", "", 200)
	}
	held := map[string]bool{}
	for id := range strings.SplitSeq(w.SettingsOf("apiv3")["WXPAY_PUBLIC_KEY_ID"], ",") {
		held[id] = true
	}
	w.Order("T1")
	w.Serial = ""
	signers := map[string]bool{}
	for i := range 30 {
		no := fmt.Sprintf("R%d", i)
		signers[w.Refund("T1", no, 1).Header.Get("Wechatpay-Serial")] = true
		w.Control("POST", "/_sandbox/refunds/"+no+"/settle", `{"status":"SUCCESS"}`, 200)
	}
	for _, p := range w.Receiver.Received() {
		signers[p.Header.Get("Wechatpay-Serial")] = true
	}
	if diff := cmp.Diff(held, signers); diff != "" {
		t.Errorf("keys that sign (-settings +got):\n%s", diff)
	}
	w.Serial = first
	if got := w.Call("GET", sandboxtest.RefundsPath+"/R1", "").Header.Get("Wechatpay-Serial"); got != first {
		t.Errorf("who names the first key is answered with %s, want %s", got, first)
	}
}
